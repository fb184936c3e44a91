"""Problems files: each good row is a problem, each bad one says why, and a bad file is refused at once."""

import base64
import io
import json
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import PIL.Image
import pyarrow
import pyarrow.parquet
import pytest

from critic_engine.config.search import RunConfig
from critic_engine.data.problems import read_problems
from critic_engine.errors import ProblemError
from critic_engine.types import FailedRow, ProblemRow

Write = Callable[..., Path]


def png(color: str = "red") -> bytes:
    buffer = io.BytesIO()
    PIL.Image.new("RGB", (4, 4), color).save(buffer, format="PNG")
    return buffer.getvalue()


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def write_file(content: str | bytes, name: str = "problems.jsonl") -> Path:
        path = tmp_path / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    return write_file


def lines(*rows: Mapping[str, Any]) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)


def only_row(path: Path) -> ProblemRow:
    (row,) = read_problems(path)
    assert isinstance(row, ProblemRow), row
    return row


def only_reason(path: Path) -> str:
    """Return why the one bad row was refused, and check that the row after it was read all the same."""
    bad, good = read_problems(path)
    assert isinstance(bad, FailedRow)
    assert isinstance(good, ProblemRow)
    assert "\n" not in bad.reason
    return bad.reason


GOOD = {"question": "how many?"}


class TestColumns:
    def test_every_column_finds_its_place(self, write: Write) -> None:
        write(png(), "a.png")
        row = only_row(
            write(
                lines(
                    {
                        "id": "q1",
                        "question": "which?",
                        "images": ["a.png"],
                        "choices": ["x", "y"],
                        "answer": "x",
                        "level": 3,
                    }
                )
            )
        )
        assert (row.row, row.id, row.reference_answers, row.extras) == (1, "q1", ("x",), {"level": 3})
        assert (row.problem.question, row.problem.choices, row.problem.name) == ("which?", ("x", "y"), "q1")
        assert row.problem.images[0].data == png()

    def test_reference_answer_is_not_in_the_problem(self, write: Write) -> None:
        assert "4711" not in repr(only_row(write(lines({**GOOD, "answer": 4711}))).problem)

    def test_row_without_an_id_is_called_by_its_number(self, write: Write) -> None:
        path = write(lines(GOOD, {**GOOD, "id": None}, {**GOOD, "id": ""}, {**GOOD, "id": 7}))
        assert [row.id for row in read_problems(path)] == ["1", "2", "3", "7"]

    def test_one_image_or_choice_needs_no_list(self, write: Write) -> None:
        write(png(), "a.png")
        row = only_row(write(lines({**GOOD, "images": "a.png", "choices": 4})))
        assert len(row.problem.images) == 1
        assert row.problem.choices == ("4",)

    def test_numbers_become_text(self, write: Write) -> None:
        row = only_row(write(lines({**GOOD, "choices": [1, 2.5, True], "answer": 2.5})))
        assert (row.problem.choices, row.reference_answers) == (("1", "2.5", "true"), ("2.5",))

    def test_blank_lines_and_a_byte_order_mark_do_not_matter(self, write: Write) -> None:
        path = write(b"\xef\xbb\xbf\n" + lines(GOOD).encode() + b"\n  \n" + json.dumps(GOOD).encode())
        problems = read_problems(path)
        assert len(problems) == 2
        assert [row.row for row in problems] == [1, 2]

    def test_file_can_be_read_again(self, write: Write) -> None:
        problems = read_problems(write(lines(GOOD, GOOD)))
        assert list(problems) == list(problems)

    def test_image_root_replaces_the_folder_of_the_file(self, write: Write, tmp_path: Path) -> None:
        (tmp_path / "pictures").mkdir()
        (tmp_path / "pictures" / "a.png").write_bytes(png())
        path = write(lines({**GOOD, "images": ["a.png"]}))
        (row,) = read_problems(path, image_root=tmp_path / "pictures")
        assert isinstance(row, ProblemRow)


class TestBadRows:
    @pytest.mark.parametrize(
        ("bad", "reason"),
        [
            ({"question": ""}, "question is empty text"),
            ({"question": "  \n"}, "question is empty text"),
            ({"question": None}, "question is missing"),
            ({"other": 1}, "question is missing"),
            ({"question": 7}, "question is a number; write it as text"),
            ({"question": ["a"]}, "question is a list"),
            ({**GOOD, "question": "\ud800"}, "half a surrogate pair"),
            ({**GOOD, "id": ["a"]}, "id is a list; write text or a whole number, or leave it out"),
            ({**GOOD, "choices": ["a", ""]}, "choices is empty text"),
            ({**GOOD, "choices": [{"a": 1}]}, 'choices holds an object; write a list of texts or numbers, ["…", "…"]'),
            ({**GOOD, "choices": "[a, b]"}, "begins like a list and is not JSON"),
            ({**GOOD, "answer": [["a"]]}, "answer holds a list; write text or a number"),
            ({**GOOD, "images": [None]}, "images holds missing"),
            ({**GOOD, "images": [""]}, "images holds empty text"),
            ({**GOOD, "images": ["gone.png"]}, "does not exist; give the path of an image file"),
            ({**GOOD, "images": ["../gone.png"]}, "lies outside"),
            ({**GOOD, "images": ["http://host/a.png"]}, "nothing is fetched"),
            ({**GOOD, "images": ["data:image/png;base64,AAAA"]}, "is not an image"),
        ],
        ids=lambda value: value if isinstance(value, str) else "",
    )
    def test_bad_row_is_recorded_and_the_next_is_read(self, write: Write, bad: Mapping[str, Any], reason: str) -> None:
        assert reason in only_reason(write(lines(bad, GOOD)))

    @pytest.mark.parametrize(
        "line", ["{", "nonsense", "[" * 100_000, '{"answer": ' + "9" * 10_000 + "}", "[1, 2]", '"text"']
    )
    def test_line_that_is_no_json_object_is_recorded_with_its_number(self, write: Write, line: str) -> None:
        assert only_reason(write("\n" + line + "\n" + lines(GOOD))).startswith("line 2 is no")

    def test_bad_row_keeps_its_id_and_number(self, write: Write) -> None:
        _, bad = read_problems(write(lines(GOOD, {"id": "q2", "question": ""})))
        assert isinstance(bad, FailedRow)
        assert (bad.row, bad.id) == (2, "q2")

    def test_truncated_image_and_bomb_are_recorded(self, write: Write) -> None:
        write(png()[:-20], "cut.png")
        assert "truncated" in only_reason(write(lines({**GOOD, "images": ["cut.png"]}, GOOD)))
        write(png(), "large.png")
        bad, _ = read_problems(
            write(lines({**GOOD, "images": ["large.png"]}, GOOD)), limits=RunConfig(max_image_pixels=15)
        )
        assert isinstance(bad, FailedRow)
        assert "has 4 x 4 pixels, more than 15" in bad.reason


class TestBadFiles:
    @pytest.mark.parametrize("name", ["a.jsonl", "a.csv"])
    @pytest.mark.parametrize("content", ["", "\n\n"])
    def test_empty_file_is_refused(self, write: Write, content: str, name: str) -> None:
        with pytest.raises(ProblemError, match="is empty; it needs at least one row"):
            read_problems(write(content, name))

    def test_csv_with_a_header_alone_is_refused(self, write: Write) -> None:
        with pytest.raises(ProblemError, match="is empty"):
            read_problems(write("id,question\n", "a.csv"))

    def test_missing_file_folder_and_unknown_kind_are_refused(self, write: Write, tmp_path: Path) -> None:
        with pytest.raises(ProblemError, match=r"gone\.jsonl does not exist"):
            read_problems(tmp_path / "gone.jsonl")
        with pytest.raises(ProblemError, match="is not a file"):
            read_problems(tmp_path)
        with pytest.raises(ProblemError, match=r"must end in \.jsonl, .*\.csv, .*\.parquet"):
            read_problems(write("[]", "a.xml"))

    @pytest.mark.parametrize("name", ["a.jsonl", "a.csv"])
    def test_file_that_is_not_utf8_is_refused_with_the_byte_and_line(self, write: Write, name: str) -> None:
        content = b"question\n" + b'"caf\xe9"\n' if name == "a.csv" else b'{"question": "x"}\n{"question": "caf\xe9"}\n'
        with pytest.raises(ProblemError, match="is not UTF-8: byte 0xe9 at line 2, column"):
            read_problems(write(content, name))

    def test_utf16_file_is_refused(self, write: Write) -> None:
        with pytest.raises(ProblemError, match="is not UTF-8: byte 0xff at line 1, column 1"):
            read_problems(write(lines(GOOD).encode("utf-16")))

    def test_last_line_that_is_cut_off_refuses_the_file(self, write: Write) -> None:
        with pytest.raises(ProblemError, match="line 2, the last, is cut off"):
            read_problems(write(lines(GOOD) + '{"question": "how ma'))

    def test_quote_that_is_never_closed_refuses_the_file(self, write: Write) -> None:
        with pytest.raises(ProblemError, match="a quote is never closed"):
            read_problems(write('question,answer\na,1\n"b,2\nc,3\n', "a.csv"))

    @pytest.mark.parametrize(
        ("name", "content"),
        [("a.jsonl", lines({"body": "x", "title": 1})), ("a.csv", "body,title\nx,1\n")],
    )
    def test_file_without_questions_is_refused_with_the_columns_it_has(
        self, write: Write, name: str, content: str
    ) -> None:
        with pytest.raises(ProblemError, match="there is no column 'question'; the columns are body, title: say which"):
            read_problems(write(content, name))

    def test_file_of_no_json_at_all_is_refused(self, write: Write) -> None:
        with pytest.raises(ProblemError, match="holds no readable row: line 1 is not JSON"):
            read_problems(write("question\nhow many?\n"))

    def test_column_named_twice_is_refused(self, write: Write) -> None:
        with pytest.raises(ProblemError, match="two columns 'question'"):
            read_problems(write("question,question\na,b\n", "a.csv"))


class TestCsv:
    def test_lists_are_json_or_one_entry(self, write: Write) -> None:
        write(png(), "a.png")
        path = write(
            'question,images,choices,answer\nq1,"[""a.png"", ""a.png""]","[""x"", 2]",x\n"q\n2",a.png,,\n', "a.csv"
        )
        first, second = read_problems(path)
        assert isinstance(first, ProblemRow)
        assert isinstance(second, ProblemRow)
        assert (len(first.problem.images), first.problem.choices, first.reference_answers) == (2, ("x", "2"), ("x",))
        assert (len(second.problem.images), second.problem.choices, second.reference_answers) == (1, (), ())
        assert second.problem.question == "q\n2"

    def test_image_in_a_long_cell_is_read(self, write: Write) -> None:
        buffer = io.BytesIO()
        PIL.Image.effect_noise((500, 500), 80).save(buffer, format="PNG")
        url = "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()
        assert len(url) > 200_000
        assert only_row(write(f'question,images\nq,"{url}"\n', "a.csv")).problem.images[0].width == 500

    def test_row_of_another_width_is_recorded(self, write: Write) -> None:
        path = write("question,answer\nwhich, then?,x\nq,y\n", "a.csv")
        assert only_reason(path) == "the row has 3 fields and the header 2; quote cells that hold commas"

    def test_row_with_a_stray_quote_is_recorded(self, write: Write) -> None:
        path = write('question,answer\n"q" x,1\nq,y\n', "a.csv")
        assert only_reason(path).startswith("line 2 is not CSV")


class TestParquet:
    def write_table(self, tmp_path: Path, columns: Mapping[str, Any], schema: Any = None) -> Path:
        path = tmp_path / "a.parquet"
        pyarrow.parquet.write_table(pyarrow.table(columns, schema=schema), path)
        return path

    @pytest.mark.parametrize(
        "images",
        [
            [png(), png("blue")],
            [{"bytes": png(), "path": None}, {"bytes": png("blue"), "path": "lost.png"}],
            [{"bytes": None, "path": "red.png"}, {"bytes": None, "path": "blue.png"}],
            ["red.png", "blue.png"],
        ],
        ids=["bytes", "structs", "paths in structs", "paths"],
    )
    def test_images_come_as_bytes_structs_or_paths(self, write: Write, tmp_path: Path, images: list[Any]) -> None:
        write(png(), "red.png")
        write(png("blue"), "blue.png")
        row = only_row(self.write_table(tmp_path, {"question": ["q"], "images": [images]}))
        assert [image.data for image in row.problem.images] == [png(), png("blue")]

    def test_one_image_needs_no_list(self, tmp_path: Path) -> None:
        path = self.write_table(tmp_path, {"question": ["a", "b"], "images": [{"bytes": png(), "path": None}, None]})
        assert [len(row.problem.images) for row in read_problems(path) if isinstance(row, ProblemRow)] == [1, 0]

    def test_missing_cells_are_missing(self, tmp_path: Path) -> None:
        path = self.write_table(
            tmp_path, {"question": ["q"], "id": [None], "answer": [float("nan")], "choices": [None]}
        )
        row = only_row(path)
        assert (row.id, row.reference_answers, row.problem.choices) == ("1", (), ())

    def test_bad_row_is_recorded_and_batches_keep_their_order(self, tmp_path: Path) -> None:
        questions = [f"q{number}" for number in range(40)]
        questions[20] = ""
        rows = list(read_problems(self.write_table(tmp_path, {"question": questions})))
        assert [row.row for row in rows] == list(range(1, 41))
        assert [row.row for row in rows if isinstance(row, FailedRow)] == [21]

    def test_file_without_questions_is_refused(self, tmp_path: Path) -> None:
        with pytest.raises(ProblemError, match="the columns are body"):
            read_problems(self.write_table(tmp_path, {"body": ["q"]}))

    def test_empty_table_is_refused(self, tmp_path: Path) -> None:
        schema = pyarrow.schema([("question", pyarrow.string())])
        with pytest.raises(ProblemError, match="is empty"):
            read_problems(self.write_table(tmp_path, {"question": []}, schema))

    @pytest.mark.parametrize("keep", [0, 4, 100])
    def test_truncated_file_is_refused(self, tmp_path: Path, keep: int) -> None:
        path = self.write_table(tmp_path, {"question": ["q"] * 100})
        path.write_bytes(path.read_bytes()[:keep])
        with pytest.raises(ProblemError, match=r"a\.parquet is truncated or no Parquet file"):
            read_problems(path)

    def test_file_broken_inside_ends_the_reading_with_its_name(self, tmp_path: Path) -> None:
        path = self.write_table(tmp_path, {"question": [f"q{number}" for number in range(1000)]})
        data = bytearray(path.read_bytes())
        data[10:2000] = b"\xff" * 1990
        path.write_bytes(data)
        with pytest.raises(ProblemError, match=r"a\.parquet is truncated or no Parquet file"):
            list(read_problems(path))

    def test_only_parquet_needs_pyarrow(self, write: Write, tmp_path: Path) -> None:
        path = self.write_table(tmp_path, {"question": ["q"]})
        program = (
            "import sys; sys.modules['pyarrow'] = None\n"
            "from critic_engine.data.problems import read_problems\n"
            f"print(len(read_problems({str(write(lines(GOOD)))!r})))\n"
            f"try: read_problems({str(path)!r})\n"
            "except Exception as error: print(error)"
        )
        output = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
        assert output.splitlines()[0] == "1"
        assert "needs pyarrow; install it by pip install 'critic-engine[parquet]'" in output


class TestDuplicates:
    def test_repeated_problem_is_reported_with_both_ids_and_kept(
        self, write: Write, caplog: pytest.LogCaptureFixture
    ) -> None:
        path = write(lines({**GOOD, "id": "a"}, {"question": "other"}, {**GOOD, "id": "c"}, {**GOOD, "id": "a"}))
        assert len([row for row in read_problems(path) if isinstance(row, ProblemRow)]) == 4
        assert [record.getMessage() for record in caplog.records] == [
            "problem c (row 3) repeats problem a; each keeps its row",
            "problem a (row 4) repeats problem a; each keeps its row",
        ]

    def test_id_of_another_problem_is_reported(self, write: Write, caplog: pytest.LogCaptureFixture) -> None:
        path = write(lines({**GOOD, "id": "a"}, {"question": "other", "id": "a"}, {"question": "more", "id": "b"}))
        list(read_problems(path))
        assert [record.getMessage() for record in caplog.records] == [
            "row 2 has the id a of row 1, another problem; each keeps its row"
        ]

    def test_many_equal_ids_are_counted_not_listed(self, write: Write, caplog: pytest.LogCaptureFixture) -> None:
        list(read_problems(write(lines(*({"question": f"how many {num}?", "id": "a"} for num in range(50))))))
        assert len(caplog.records) == 6
        assert caplog.records[-1].getMessage() == "49 rows have the id of an earlier, other problem"

    def test_other_choices_or_images_make_another_problem(self, write: Write, caplog: pytest.LogCaptureFixture) -> None:
        write(png(), "a.png")
        list(read_problems(write(lines(GOOD, {**GOOD, "choices": ["1"]}, {**GOOD, "images": ["a.png"]}))))
        assert not caplog.records

    def test_many_duplicates_are_counted_not_listed(self, write: Write, caplog: pytest.LogCaptureFixture) -> None:
        list(read_problems(write(lines(*[GOOD] * 50))))
        assert len(caplog.records) == 6
        assert caplog.records[-1].getMessage() == "49 rows repeat an earlier problem"
