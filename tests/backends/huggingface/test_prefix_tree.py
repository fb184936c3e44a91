import random

import pytest
import torch

from critic_engine.backends.huggingface.prefix_tree import PrefixTree

NUM_FEATURES = 3
TOKEN_BYTES = 4 * NUM_FEATURES


def states(ids: list[int], key: str = "", *, start: int = 0) -> torch.Tensor:
    """Return states that depend, as a model's do, on the images and on all tokens up to each."""
    rows = [[hash((key, *ids[: end + 1])) % 9973] * NUM_FEATURES for end in range(start, len(ids))]
    return torch.tensor(rows, dtype=torch.float32).reshape(-1, NUM_FEATURES)


def match(tree: PrefixTree, ids: list[int], key: str = "") -> torch.Tensor:
    return torch.cat([torch.zeros(0, NUM_FEATURES), *tree.match(key, ids)])


def filled(*sequences: list[int], max_bytes: int = 10**6) -> PrefixTree:
    tree = PrefixTree(max_bytes)
    for ids in sequences:
        tree.insert("", ids, states(ids))
    return tree


@pytest.mark.parametrize(
    ("ids", "num_known"),
    [([1, 2, 3, 4], 4), ([1, 2, 3, 9], 3), ([1, 2], 2), ([1, 2, 7, 8, 9], 4), ([5], 0), ([], 0), ([2, 3], 0)],
)
def test_longest_beginning_that_is_known_is_found(ids: list[int], num_known: int) -> None:
    tree = filled([1, 2, 3, 4], [1, 2, 7, 8])
    assert torch.equal(match(tree, ids), states(ids)[:num_known])


def test_sequences_that_begin_alike_share_states() -> None:
    assert filled([1, 2, 3, 4], [1, 2, 7, 8], [1, 2, 3]).num_bytes == 6 * TOKEN_BYTES


def test_other_images_share_nothing() -> None:
    tree = filled([1, 2, 3])
    assert len(match(tree, [1, 2, 3], "other")) == 0


def test_states_behind_an_unknown_beginning_are_not_kept() -> None:
    tree = filled([1, 2])
    tree.insert("", [1, 2, 3, 4, 5], states([1, 2, 3, 4, 5], start=4))
    assert len(match(tree, [1, 2, 3, 4, 5])) == 2
    tree.insert("", [1, 2, 3, 4, 5], states([1, 2, 3, 4, 5], start=1))
    assert torch.equal(match(tree, [1, 2, 3, 4, 5]), states([1, 2, 3, 4, 5]))


def test_tree_does_not_hold_the_tensor_that_it_was_given() -> None:
    tree = PrefixTree(10**6)
    given = states([1, 2, 3])
    tree.insert("", [1, 2, 3], given)
    given.zero_()
    assert torch.equal(match(tree, [1, 2, 3]), states([1, 2, 3]))


def test_what_was_not_used_for_longest_goes_first_and_ends_before_beginnings() -> None:
    tree = filled([1, 2, 3, 4], [1, 2, 7, 8], [6, 6], max_bytes=7 * TOKEN_BYTES)
    match(tree, [1, 2, 3, 4])
    tree.trim()
    assert torch.equal(match(tree, [1, 2, 3, 4]), states([1, 2, 3, 4]))
    assert len(match(tree, [1, 2, 7, 8])) == 2
    assert tree.num_bytes <= 7 * TOKEN_BYTES


def test_cleared_tree_knows_nothing() -> None:
    tree = filled([1, 2, 3])
    tree.clear()
    assert (len(match(tree, [1, 2, 3])), tree.num_bytes) == (0, 0)


@pytest.mark.parametrize("seed", range(20))
def test_states_found_are_always_those_of_the_tokens(seed: int) -> None:
    draw = random.Random(seed)
    tree = PrefixTree(60 * TOKEN_BYTES)
    for _ in range(200):
        key, ids = draw.choice("ab"), [draw.randrange(3) for _ in range(draw.randrange(1, 9))]
        found = match(tree, ids, key)
        assert torch.equal(found, states(ids, key)[: len(found)])
        tree.insert(key, ids, states(ids, key, start=draw.randint(0, len(found))))
        assert torch.equal(match(tree, ids, key), states(ids, key))
        tree.trim()
        assert 0 <= tree.num_bytes <= 60 * TOKEN_BYTES
