"""Columns as people have them: usual names, choices and answers in many forms, and no guess that may label wrongly."""

import base64
import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import PIL.Image
import pytest

from critic_engine.data.problems import ProblemsFile, read_problems
from critic_engine.data.schemas.cells import list_in
from critic_engine.data.schemas.choice_reading import split_question
from critic_engine.data.schemas.reference_reading import boxed_answer, marked_answer
from critic_engine.errors import ProblemError
from critic_engine.types import FailedRow, ProblemRow
from tests.growth import assert_linear


def png(color: str = "red") -> bytes:
    buffer = io.BytesIO()
    PIL.Image.new("RGB", (40, 40), color).save(buffer, format="PNG")
    return buffer.getvalue()


def encoded(color: str) -> str:
    return base64.b64encode(png(color)).decode()


@pytest.fixture
def read(tmp_path: Path) -> Any:
    def read_rows(*rows: Mapping[str, Any], **options: Any) -> ProblemsFile:
        path = tmp_path / "rows.jsonl"
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
        return read_problems(path, **options)

    return read_rows


def only(problems: ProblemsFile) -> ProblemRow:
    (row,) = problems
    assert isinstance(row, ProblemRow), row
    return row


def reason(problems: ProblemsFile) -> str:
    (row,) = problems
    assert isinstance(row, FailedRow), row
    assert "\n" not in row.reason
    return row.reason


class TestNames:
    @pytest.mark.parametrize(
        ("row", "question", "reference"),
        [
            ({"problem": "q", "answer": "7"}, "q", "7"),
            ({"query": "q", "target": "7"}, "q", "7"),
            ({"prompt": "q", "label": "7"}, "q", "7"),
            ({"Question": "q", "Answer": "7"}, "q", "7"),
            ({"instruction": "q", "final_answer": "7", "solution": "Since 3 + 4 = 7, we are done."}, "q", "7"),
            ({"problem": "q", "solution": "7"}, "q", "7"),
            ({"problem": "q", "solution": "So it is $\\boxed{7}$."}, "q", "7"),
            ({"problem": "q", "solution": "<think>…</think><answer> 7 </answer>"}, "q", "7"),
            ({"question": "q", "answer": "3 + 4 = 7\n#### 7"}, "q", "7"),
            ({"question": "q", "answer": "7", "solution": "\\boxed{8}"}, "q", "7"),
        ],
    )
    def test_usual_names_are_known(self, read, row: Mapping[str, Any], question: str, reference: str) -> None:
        found = only(read(row))
        assert (found.problem.question, found.reference_answers) == (question, (reference,))

    @pytest.mark.parametrize("name", ["id", "pid", "question_id", "index", "unique_id"])
    def test_ids_have_usual_names(self, read, name: str) -> None:
        assert only(read({name: "k7", "question": "q"})).id == "k7"

    def test_two_columns_that_may_both_hold_the_answer_are_refused_with_the_way_out(self, read) -> None:
        row = {"problem": "q", "label": "1", "target": "2"}
        with pytest.raises(ProblemError, match="label and target may both hold the answer; say which: --map answer="):
            read(row)
        assert only(read(row, columns={"answer": "target"})).reference_answers == ("2",)

    def test_worked_solution_without_a_marked_answer_is_no_reference(self, read) -> None:
        assert "marks no answer" in reason(read({"problem": "q", "solution": "Since 3 + 4 = 7, it is seven."}))

    def test_number_of_a_class_is_no_answer_until_it_is_named(self, read) -> None:
        row = {"question": "q", "label": 1}
        assert "may stand for a class" in reason(read(row))
        assert only(read(row, columns={"answer": "label"})).reference_answers == ("1",)

    def test_worked_solution_stays_among_the_other_columns(self, read) -> None:
        row = only(read({"question": "q", "answer": "3 + 4 = 7\n#### 7", "level": 1}))
        assert row.extras == {"answer": "3 + 4 = 7\n#### 7", "level": 1}

    def test_truth_value_is_also_yes_or_no(self, read) -> None:
        assert only(read({"question": "q", "answer": True})).reference_answers == ("true", "yes")
        assert only(read({"question": "q", "answer": False})).reference_answers == ("false", "no")

    def test_heading_before_the_last_line_marks_no_answer(self, read) -> None:
        text = "#### First step\nIt is 7."
        assert only(read({"question": "q", "answer": text})).reference_answers == (text,)

    def test_list_of_answers_accepts_each(self, read) -> None:
        assert only(read({"question": "q", "answer": ["a dog", "dog", 7]})).reference_answers == ("a dog", "dog", "7")


class TestMapping:
    def test_named_columns_go_before_usual_names(self, read) -> None:
        row = {"question": "not this", "text": "this", "key": 4, "gold": "x", "answer": "not this"}
        found = only(read(row, columns={"question": "text", "id": "key", "answer": "gold"}))
        assert (found.problem.question, found.id, found.reference_answers) == ("this", "4", ("x",))
        assert found.extras == {"question": "not this", "answer": "not this"}

    def test_several_columns_hold_choices_and_images(self, read) -> None:
        row = {"question": "q", "opa": "w", "opb": "x", "opc": "y", "cop": 2, "left": encoded("red"), "right": None}
        columns = {"choices": "opa, opb, opc", "answer_index": "cop", "images": "left,right"}
        found = only(read(row, columns=columns))
        assert (found.problem.choices, found.reference_answers) == (("w", "x", "y"), ("C",))
        assert [image.data for image in found.problem.images] == [png()]

    def test_part_may_be_none_of_the_columns(self, read) -> None:
        row = {"question": "q", "image": 4711, "answer": "7"}
        assert "images holds a number" in reason(read(row))
        assert only(read(row, columns={"images": ""})).extras == {"image": 4711}

    def test_schema_of_a_benchmark_in_columns_of_vlmevalkit(self, read) -> None:
        row = {
            "index": 3,
            "question": "q",
            "A": "x",
            "B": "y",
            "answer": "B",
            "l2_category": "c",
            "image": encoded("red"),
        }
        found = only(read(row, schema="mmstar"))
        assert (found.id, found.problem.choices, found.reference_answers) == ("3", ("x", "y"), ("B",))

    def test_mapping_of_the_question_leaves_the_other_parts_to_the_recognised_schema(self, read) -> None:
        row = {"question": "q", "prompt": "in full", "answer": "so it is.\n#### 7"}
        assert read(row).schema.name == "gsm8k"
        found = only(mapped := read(row, columns={"question": "prompt"}))
        assert (mapped.schema.name, found.problem.question, found.reference_answers) == ("gsm8k", "in full", ("7",))
        assert read(row, columns={"answer": "prompt"}).schema.name == "plain"

    def test_mapping_changes_a_named_schema(self, read) -> None:
        row = {"query": "q", "label": ["1"], "picture": encoded("red"), "image": "gone.png"}
        found = only(read(row, schema="chartqa", columns={"images": "picture"}))
        assert [image.data for image in found.problem.images] == [png()]

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            (
                {"columns": {"answer": "soluton"}},
                r"no column 'soluton' for answer; did you mean --map answer=solution\?",
            ),
            ({"columns": {"anwser": "solution"}}, "no part 'anwser', did you mean answer; its parts are id, question"),
            ({"columns": {"answer": "solution", "answer_index": "key"}}, "both answer and answer_index"),
            ({"schema": "mathvist"}, "no schema 'mathvist', did you mean mathvista; the schemas are plain, mathvista"),
            (
                {"schema": "mmmu"},
                "the schema mmmu needs a column question; the columns are question_txt, solution, key",
            ),
            ({}, "no column 'question'; the columns are question_txt, .* --map question=question_txt"),
        ],
    )
    def test_unknown_names_are_refused_with_the_nearest(self, read, options: dict[str, Any], message: str) -> None:
        with pytest.raises(ProblemError, match=message) as caught:
            read({"question_txt": "q", "solution": "7", "key": 1}, **options)
        assert str(caught.value).count("\n") == 0
        assert "rows.jsonl: " in str(caught.value)


class TestChoices:
    @pytest.mark.parametrize(
        "cells",
        [
            {"choices": ["a, b", "it's"]},
            {"options": '["a, b", "it\'s"]'},
            {"choices": "['a, b', \"it's\"]"},
            {"choices": {"A": "a, b", "B": "it's", "C": None}},
            {"choices": {"b": "it's", "a": "a, b"}},
            {"choices": {"text": ["a, b", "it's"], "label": ["A", "B"]}},
            {"A": "a, b", "B": "it's", "C": ""},
            {"options": ["A) a, b", "B)it's"]},
            {"options": "(A) a, b\n(B) it's"},
        ],
        ids=["list", "JSON", "Python", "letters", "small", "labels", "columns", "own letters", "text"],
    )
    def test_choices_come_in_many_forms(self, read, cells: Mapping[str, Any]) -> None:
        assert only(read({"question": "q", **cells, "answer": "B"})).problem.choices == ("a, b", "it's")

    @pytest.mark.parametrize(
        ("cells", "message"),
        [
            ({"A": "a", "B": "", "C": "c"}, "the choice B is missing and a later one is not"),
            ({"choices": {"A": "a", "C": "c"}}, "the choice B is missing"),
            ({"choices": {"first": "a"}}, "choices holds an object"),
            ({"choices": {"text": ["a"], "label": ["A", "B"]}}, "as many"),
            ({"choices": "[open('x'), 1]"}, "begins like a list and is not JSON"),
            ({"choices": "['a' 'b']"}, "begins like a list and is not JSON"),
        ],
    )
    def test_choices_of_unsure_letters_are_refused(self, read, cells: Mapping[str, Any], message: str) -> None:
        assert message in reason(read({"question": "q", "A": None, "B": None, **cells}))

    @pytest.mark.parametrize(
        ("text", "question", "choices"),
        [
            ("Q?\nOptions: A: x, y, B: z", "Q?", ("x, y", "z")),
            ("Q?\nOptions: A: Vitamin A, B: Vitamin B: the second", "Q?", ("Vitamin A", "Vitamin B: the second")),
            ("Q?\nChoices: (A) 97 (B) 102", "Q?", ("97", "102")),
            ("Q?\nChoices:\nA:1\nB:2\nC:3", "Q?", ("1", "2", "3")),
            ("Q?\nA. x\nB. y\n\nPlease answer with the letter only.", "Q?", ("x", "y")),
            ("Q?\n(A) x\n(B) y\n\nRound to one place.", "Q?\nRound to one place.", ("x", "y")),
            ("What are my options: A or B?", "What are my options: A or B?", ()),
            (
                "In group A: 3 dogs.\nIn group B: 4 dogs. How many?",
                "In group A: 3 dogs.\nIn group B: 4 dogs. How many?",
                (),
            ),
            ("Q?\nOptions: A: , B: y", "Q?\nOptions: A: , B: y", ()),
        ],
    )
    def test_choices_are_taken_out_of_a_question(self, text: str, question: str, choices: tuple[str, ...]) -> None:
        assert split_question(text) == (question, choices)

    def test_question_is_kept_whole_where_its_choices_do_not_fit_the_answer(self, read) -> None:
        row = {"index": 1, "question": "Q?\nOptions: A: x, B: y", "answer": "D"}
        found = only(read(row, schema="mmstar"))
        assert (found.problem.question, found.problem.choices) == ("Q?\nOptions: A: x, B: y", ())


class TestAnswersAmongChoices:
    @pytest.mark.parametrize(("choices", "answer"), [(["10", "20", "30"], 1), (["1", "2", "3"], 2), (["0", "4"], 0.0)])
    def test_number_is_an_index_only_where_that_is_said(self, read, choices: list[str], answer: float) -> None:
        row = {"question": "q", "choices": choices, "answer": answer}
        if isinstance(answer, int):
            assert "may be a choice's text or its place" in reason(read(row))
            assert only(read(row, columns={"answer": "answer"})).reference_answers == (str(answer),)  # its text
        found = only(read({**row, "answer": int(answer)}, columns={"answer_index": "answer"}))
        assert found.reference_answers == ("ABC"[int(answer)],)

    def test_number_that_can_only_be_a_text_is_read(self, read) -> None:
        assert only(read({"question": "q", "choices": [10, 20], "answer": 20})).reference_answers == ("20",)

    def test_texts_of_numbers_are_refused_in_a_file_that_counts_the_choices(self, read) -> None:
        rows = [
            {"question": f"q{n}", "choices": choices, "answer": "1"} for n, choices in enumerate((["2", "1"], "xyz"))
        ]
        rows[1]["choices"] = ["x", "y"]
        assert all("or its place" in row.reason for row in read(*rows) if isinstance(row, FailedRow))
        assert len([row for row in read(*rows) if isinstance(row, FailedRow)]) == 2
        assert only(read(rows[0])).reference_answers == ("1",)

    @pytest.mark.parametrize("answers", [("1", "2"), ("B", "A"), ("0", "3")], ids=["from 1", "letters", "too many"])
    def test_columns_of_ai2d_alone_do_not_make_answers_indices(self, read, answers: tuple[str, str]) -> None:
        rows = [{"question": "q", "options": ["x", "y"], "answer": answer, "image": None} for answer in answers]
        problems = read(*rows)
        assert problems.schema.name == "plain"
        assert not [
            row for row in problems if isinstance(row, ProblemRow) and row.reference_answers != (answers[row.row - 1],)
        ]

    @pytest.mark.parametrize("answer", [4, "x", -2, True, 1.0])
    def test_index_outside_the_choices_is_refused(self, read, answer: object) -> None:
        row = {"question": "q", "choices": ["a", "b"], "answer": answer}
        assert "must count the 2 choices from 0" in reason(read(row, columns={"answer_index": "answer"}))

    def test_letter_outside_the_choices_is_refused(self, read) -> None:
        row = {"id": "1", "question": "q", "options": "['a', 'b']", "image_1": None, "answer": "C"}
        assert "must be the letter of a choice, A to B" in reason(read(row, schema="mmmu"))

    def test_choice_of_one_letter_is_named_by_its_place(self, read) -> None:
        row = {"question": "q", "choices": ["B", "A"], "answer": "A"}
        assert only(read(row)).reference_answers == ("B",)


class TestImages:
    @pytest.mark.parametrize("name", ["image", "images", "decoded_image", "image_path", "img"])
    def test_columns_of_images_have_usual_names(self, read, tmp_path: Path, name: str) -> None:
        (tmp_path / "a.png").write_bytes(png())
        assert [image.data for image in only(read({"question": "q", name: "a.png"})).problem.images] == [png()]

    def test_numbered_columns_keep_their_order_and_those_not_mentioned_are_left_out(self, read) -> None:
        cells = {f"image_{n}": encoded(color) for n, color in ((1, "red"), (2, "blue"), (10, "green"))}
        every = only(read({"question": "q", **cells})).problem
        assert [image.data for image in every.images] == [png("red"), png("blue"), png("green")]
        some = only(read({"question": "<image 10> or <image 2>?", **cells})).problem
        assert [image.data for image in some.images] == [png("blue"), png("green")]
        assert some.question == "<image 2> or <image 1>?"
        assert "mentions <image 3>, which is missing" in reason(read({"question": "<image 3>?", **cells}))

    @pytest.mark.parametrize(
        ("text", "num_images", "question"),
        [
            ("<image>\nWhat is it?", 1, "What is it?"),
            ("What is it? <image>", 1, "What is it?"),
            ("Is <image> like <image> here?", 2, "Is <image 1> like <image 2> here?"),
            ("What does the tag <image> mean?", 0, "What does the tag <image> mean?"),
        ],
    )
    def test_placeholders_are_left_out(self, read, text: str, num_images: int, question: str) -> None:
        row = {"question": text, "images": [encoded("red")] * num_images}
        assert only(read(row)).problem.question == question

    @pytest.mark.parametrize(
        ("image", "message"),
        [
            ("/9j/" + "A" * 2000 + "!", "broken base64"),
            ("iVBORw0KGgo" + "A" * 1001, "is not an image"),
            ({"bytes": None, "path": "../x.png"}, "lies outside"),
            ({"src": "http://host/x.png"}, "images holds"),
            ([[1]], "images holds a list"),
        ],
    )
    def test_image_that_is_none_fails_its_row(self, read, image: object, message: str) -> None:
        assert message in reason(read({"question": "q", "image": image}))

    def test_image_of_scienceqa_lies_below_its_split_and_id(self, read, tmp_path: Path) -> None:
        (tmp_path / "test" / "7").mkdir(parents=True)
        (tmp_path / "test" / "7" / "image.png").write_bytes(png())
        cells = {"question": "q", "choices": ["x", "y"], "answer": 1, "hint": "", "lecture": "", "solution": ""}
        found = only(read({"id": "7", **cells, "image": "image.png", "split": "test"}))
        assert [image.data for image in found.problem.images] == [png()]
        outside = reason(read({"id": "7", **cells, "image": "image.png", "split": "../.."}))
        assert "lies outside" in outside

    def test_path_that_begins_like_base64_is_a_path(self, read, tmp_path: Path) -> None:
        name = "Qk" + "a" * 90 + ".png"
        (tmp_path / name).write_bytes(png())
        assert len(only(read({"question": "q", "image": name})).problem.images) == 1


class TestHostileText:
    def test_deep_nesting_fails_no_more_than_its_row(self, tmp_path: Path) -> None:
        deep = "[" * 900 + "]" * 900
        lines = [f'{{"question": "q", "{name}": {deep}}}' for name in ("image", "choices", "answer", "id", "other")]
        (tmp_path / "rows.jsonl").write_text("\n".join(lines))
        rows = list(read_problems(tmp_path / "rows.jsonl"))
        assert [isinstance(row, FailedRow) for row in rows] == [True, True, True, True, False]

    @pytest.mark.parametrize(
        "piece",
        ["[", "'", "'a',", "\\'", "1,", " ", "['a' ", "\\boxed{", "{", "####", "\n#### ", "A: ", "\nA. ", ", B: "],
    )
    def test_readers_run_in_linear_time(self, piece: str) -> None:
        text = (piece * 100_000)[:100_000]
        for work in (lambda text: list_in(f"[{text}]"), split_question, boxed_answer, marked_answer):
            assert_linear(work, text)
        assert_linear(split_question, "Options: A: x" + text)

    @pytest.mark.parametrize(
        ("text", "found"),
        [
            ("['a\\n', \"b'\", 3, True,]", ["a\n", "b'", "3", "True"]),
            ("['\\x41\\u00e9\\d']", ["Aé\\d"]),
            ("[]", []),
            ("[__import__('os')]", None),
            ("[['a']]", None),
            ("['a'", None),
            ("(1, 2)", None),
        ],
    )
    def test_list_of_python_is_read_and_never_run(self, text: str, found: list[object] | None) -> None:
        assert list_in(text) == found

    @pytest.mark.parametrize(
        ("text", "found"),
        [
            ("\\boxed{1} then \\boxed{\\frac{a}{b}}", "\\frac{a}{b}"),
            ("\\boxed{\\boxed{3}}", "\\boxed{3}"),
            ("\\fbox{2} \\boxed 5$", "5"),
            ("\\boxed{\\{1\\}}", "\\{1\\}"),
            ("\\boxed{4", None),
            ("none", None),
        ],
    )
    def test_last_box_is_read(self, text: str, found: str | None) -> None:
        assert boxed_answer(text) == found
