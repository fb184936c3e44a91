"""The summary of all rows has a type for every value of a fact, and knows which rows lack facts or images."""

import itertools

import pytest

from critic_engine.data.exports import format_named
from critic_engine.data.exports.column_types import Column
from critic_engine.data.exports.row_summary import summarise_rows
from critic_engine.data.row_types import Preference


@pytest.mark.parametrize(
    ("values", "type_"),
    [
        ([1, 2], "int"),
        ([1, 0.5], "float"),
        ([1, "one"], "text"),
        ([0.5, "one"], "text"),
        ([None, 1, 0.5, "one"], "text"),
        ([None, 1], "int"),
        ([None, None], "text"),
    ],
)
def test_column_of_a_fact_holds_every_value_in_any_order(values: list[object], type_: str, make_row) -> None:
    for order in itertools.permutations(values):
        rows = [make_row(Preference, facts={"fact": value}) for value in order]
        assert summarise_rows(rows, format_named("trl-dpo")).facts == (Column("fact", type_),)


def test_fact_that_only_some_rows_have_is_a_gap(make_row) -> None:
    facts = [{"all": 1, "some": None, "none": None}, {"all": 1, "some": 1, "none": None}]
    rows = [make_row(Preference, facts=each) for each in facts]
    assert summarise_rows(rows, format_named("trl-dpo")).gaps == {"some"}


@pytest.mark.parametrize(
    ("nums", "has_images", "is_mixed"), [((0, 0), False, False), ((1, 0), True, True), ((1, 2), True, False)]
)
def test_rows_are_mixed_when_some_have_images(
    nums: tuple[int, ...], has_images: bool, is_mixed: bool, make_row
) -> None:
    (image,) = make_row(Preference).images
    summary = summarise_rows([make_row(Preference, images=(image,) * num) for num in nums], format_named("swift-dpo"))
    assert (summary.num_rows, summary.has_images, summary.is_mixed) == (2, has_images, is_mixed)


def test_row_of_another_kind_is_refused(make_row) -> None:
    with pytest.raises(TypeError, match="trl-sft takes Demonstration rows, not Preference"):
        summarise_rows([make_row(Preference)], format_named("trl-sft"))
