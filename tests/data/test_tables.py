"""Kinds of files: JSON documents, tabs, compression, shards, and folders and data sets of ``datasets``."""

import base64
import gzip
import io
import json
import subprocess
import sys
from pathlib import Path

import PIL.Image
import pyarrow
import pyarrow.parquet
import pytest

from critic_engine.data.problems import read_problems
from critic_engine.errors import ProblemError
from critic_engine.types import FailedRow, ProblemRow

ROWS = [{"id": "a", "question": "q1", "answer": "1"}, {"id": "b", "question": "q2", "answer": "2"}]
LINES = "".join(json.dumps(row) + "\n" for row in ROWS)


def png(color: str = "red") -> bytes:
    buffer = io.BytesIO()
    PIL.Image.new("RGB", (40, 40), color).save(buffer, format="PNG")
    return buffer.getvalue()


def ids(path: Path | str) -> list[str]:
    problems = read_problems(path)
    assert len(problems) == len(list(problems))
    return [row.id for row in problems if isinstance(row, ProblemRow)]


class TestJson:
    @pytest.mark.parametrize(
        "content",
        [
            json.dumps(ROWS),
            json.dumps(ROWS, indent=2),
            json.dumps({row["id"]: {"question": row["question"]} for row in ROWS}),
            LINES,
            "\ufeff" + json.dumps(ROWS),
        ],
        ids=["list", "indented", "object by id", "lines", "byte order mark"],
    )
    def test_document_of_rows_is_read(self, tmp_path: Path, content: str) -> None:
        (tmp_path / "a.json").write_text(content, encoding="utf-8")
        assert ids(tmp_path / "a.json") == ["a", "b"]

    @pytest.mark.parametrize(
        ("content", "message"),
        [
            ("", "is empty"),
            ("[]", "is empty"),
            ("{}", "is empty"),
            ("3", "is no JSON list of rows"),
            ('[{"question": "q"}, {"que', "is not JSON at line 1"),
            ('[{"question": "q"}', "is broken behind row 1"),
            ('[{"question": "q"} {"question": "q"}]', "is broken behind row 1"),
            ('{"a" {"question": "q"}}', "a key or its colon is missing"),
            ("[" * 100_000, "is not JSON at line 1"),
            ('["q"]', "holds no readable row: entry 1 is no JSON object"),
        ],
    )
    def test_broken_document_is_refused(self, tmp_path: Path, content: str, message: str) -> None:
        (tmp_path / "a.json").write_text(content)
        with pytest.raises(ProblemError, match=message) as caught:
            list(read_problems(tmp_path / "a.json"))
        assert "\n" not in str(caught.value)

    def test_entry_that_is_no_object_fails_alone(self, tmp_path: Path) -> None:
        (tmp_path / "a.json").write_text(json.dumps([3, *ROWS]))
        first, *others = read_problems(tmp_path / "a.json")
        assert isinstance(first, FailedRow)
        assert len(others) == 2


class TestText:
    @pytest.mark.parametrize("name", ["a.jsonl.gz", "a.JSON.gz", "a.csv.gz", "a.tsv.gz"])
    def test_compressed_file_is_read(self, tmp_path: Path, name: str) -> None:
        sign = "\t" if "tsv" in name else ","
        table = f"id{sign}question\na{sign}q1\nb{sign}q2\n"
        (tmp_path / name).write_bytes(gzip.compress((LINES if "js" in name.lower() else table).encode()))
        assert ids(tmp_path / name) == ["a", "b"]

    @pytest.mark.parametrize("keep", [5, 30])
    def test_broken_compression_is_refused(self, tmp_path: Path, keep: int) -> None:
        (tmp_path / "a.jsonl.gz").write_bytes(gzip.compress(LINES.encode())[:keep])
        with pytest.raises(ProblemError, match="is truncated or no gzip file"):
            read_problems(tmp_path / "a.jsonl.gz")
        (tmp_path / "b.jsonl.gz").write_text(LINES)
        with pytest.raises(ProblemError, match="is truncated or no gzip file"):
            read_problems(tmp_path / "b.jsonl.gz")

    def test_image_of_another_row_is_found_also_behind_lines_in_quotes(self, tmp_path: Path) -> None:
        image = base64.b64encode(png()).decode()
        rows = [
            "index\tquestion\tA\tB\tanswer\timage",
            '1\t"two\nlines ☃"\tx\ty\tA\t3',
            f"3\tq\tx\ty\tB\t{image}",
            "4\tq\tx\ty\tB\t9",
        ]
        (tmp_path / "a.tsv").write_text("\n".join(rows) + "\n", encoding="utf-8")
        refers, holds, lost = read_problems(tmp_path / "a.tsv")
        assert isinstance(refers, ProblemRow)
        assert isinstance(holds, ProblemRow)
        assert refers.problem.images == holds.problem.images
        assert isinstance(lost, FailedRow)
        assert "refers to the row of index 9, which holds no image" in lost.reason


class TestShards:
    def write(self, path: Path, *names: str) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        columns = {"id": list(names), "question": [f"q {name}" for name in names]}
        pyarrow.parquet.write_table(pyarrow.table(columns), path)

    def test_shards_of_one_split_are_one_file(self, tmp_path: Path) -> None:
        self.write(tmp_path / "d" / "data" / "test-00001-of-00002.parquet", "c")
        self.write(tmp_path / "d" / "data" / "test-00000-of-00002-0a1b2c3d.parquet", "a", "b")
        for place in ("d", "d/test", "d/data", "d/data/test"):
            assert ids(tmp_path / place) == ["a", "b", "c"]

    def test_folder_of_several_splits_is_told_to_name_one(self, tmp_path: Path) -> None:
        self.write(tmp_path / "d" / "test-00000-of-00001.parquet", "a")
        self.write(tmp_path / "d" / "train-00000-of-00001.parquet", "b")
        with pytest.raises(ProblemError, match=r"holds several splits, test, train; name one, as in .*d/test"):
            read_problems(tmp_path / "d")
        assert ids(tmp_path / "d" / "train") == ["b"]

    def test_one_file_in_two_kinds_is_not_read_twice(self, tmp_path: Path) -> None:
        (tmp_path / "rows.jsonl").write_text(LINES)
        (tmp_path / "rows.csv").write_text("question\nq1\n")
        with pytest.raises(ProblemError, match=r"several splits, rows\.csv, rows\.jsonl; name one"):
            read_problems(tmp_path)

    def test_folder_without_data_is_refused(self, tmp_path: Path) -> None:
        (tmp_path / "weights.pkl").write_bytes(b"\x80\x04.")
        with pytest.raises(ProblemError, match=r"is not a file, and as a folder holds no .jsonl"):
            read_problems(tmp_path)


class TestDatasets:
    """What the package ``datasets`` itself writes and reads."""

    @pytest.fixture
    def rows(self, monkeypatch: pytest.MonkeyPatch):
        monkeypatch.setenv("HF_HUB_OFFLINE", "1")
        datasets = pytest.importorskip("datasets")
        datasets.disable_progress_bars()
        features = {name: datasets.Value("string") for name in ("id", "question", "answer")}
        cells = [{**row, "image": {"bytes": png(), "path": None}} for row in ROWS]
        return datasets.Dataset.from_list(cells, features=datasets.Features({**features, "image": datasets.Image()}))

    def test_saved_folders_are_read_without_the_package(self, rows, tmp_path: Path) -> None:
        import datasets

        rows.save_to_disk(tmp_path / "one", num_shards=2)
        datasets.DatasetDict({"train": rows, "test": rows}).save_to_disk(tmp_path / "both")
        for place in ("one", "both/test"):
            assert ids(tmp_path / place) == ["a", "b"]
            (first, _) = read_problems(tmp_path / place)
            assert isinstance(first, ProblemRow)
            assert first.problem.images[0].data == png()
        with pytest.raises(ProblemError, match="several splits, test, train; name one"):
            read_problems(tmp_path / "both")

    def test_truncated_saved_folder_is_refused(self, rows, tmp_path: Path) -> None:
        rows.save_to_disk(tmp_path / "one")
        (path,) = (tmp_path / "one").glob("*.arrow")
        path.write_bytes(path.read_bytes()[:300])
        with pytest.raises(ProblemError, match="is truncated or no Arrow file"):
            list(read_problems(tmp_path / "one"))

    def test_data_set_is_streamed_by_the_package_when_asked_for(self, rows, tmp_path: Path) -> None:
        rows.to_parquet(tmp_path / "d" / "data" / "test-00000-of-00001.parquet")
        assert ids(f"hf:{tmp_path}/d") == ["a", "b"]
        (first, _) = read_problems(f"hf:{tmp_path}/d:test")
        assert isinstance(first, ProblemRow)
        assert first.problem.images[0].data == png()
        rows.to_parquet(tmp_path / "d" / "data" / "train-00000-of-00001.parquet")
        with pytest.raises(ProblemError, match=r"has the splits train, test; name one, as in hf:.*:train"):
            read_problems(f"hf:{tmp_path}/d")
        with pytest.raises(ProblemError, match="has no split 'dev'; its splits are train, test"):
            read_problems(f"hf:{tmp_path}/d:dev")

    def test_what_cannot_be_reached_ends_in_one_line(self, rows) -> None:
        program = (
            "from critic_engine.data.problems import read_problems\n"
            "try: read_problems('hf:someone/nothing:test')\n"
            "except Exception as error: print(type(error).__name__, error)"
        )
        output = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
        assert output.startswith("ProblemError hf:someone/nothing:test cannot be read: ")
        assert output.count("\n") == 1


@pytest.mark.parametrize("source", ["hf:", "hf:a/b/c/d", "hf:a//b", "hf:a:"])
def test_name_of_no_data_set_is_refused(source: str) -> None:
    with pytest.raises(ProblemError, match=r"names no data set; write hf:NAME\[/CONFIG\]\[:SPLIT\]"):
        read_problems(source)


def test_only_data_sets_of_the_hub_need_the_package(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text(LINES)
    program = (
        "import sys; sys.modules['datasets'] = None\n"
        "from critic_engine.data.problems import read_problems\n"
        f"print(len(read_problems({str(tmp_path / 'a.jsonl')!r})))\n"
        "try: read_problems('hf:openai/gsm8k/main:test')\n"
        "except Exception as error: print(error)"
    )
    output = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert output.splitlines()[0] == "2"
    assert "needs the package datasets; install it by pip install 'critic-engine[datasets]'" in output
