"""Seeds: the same everywhere, and unrelated for unequal parts."""

import pytest

from critic_engine.seeds import derive_seed


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ((1, "2"), ("1", 2)),
        (("a\x1fb",), ("a", "b")),
        (("a, b",), ("a", "b")),
        (("a', 'b",), ("a", "b")),
        ((1,), (1, "")),
        ((), ("",)),
        ((-1,), (1,)),
    ],
)
def test_unequal_parts_have_unequal_seeds(one: tuple[int | str, ...], other: tuple[int | str, ...]) -> None:
    assert derive_seed(*one) != derive_seed(*other)


def test_a_seed_is_the_same_in_every_process_and_version() -> None:
    assert derive_seed(0, "é\ud800", 2) == 5372572734585587635
