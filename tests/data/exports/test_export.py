"""An export is whole or not there, holds its rows unchanged, and counts those left out."""

import importlib.metadata
import json
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import yaml

from critic_engine.data.exports import FORMATS, format_named
from critic_engine.data.exports.data_files import read_records
from critic_engine.data.exports.exclusions import LengthLimit
from critic_engine.data.exports.export import split_of
from critic_engine.data.row_types import Demonstration, Preference, StageCounts, StepLabelled
from critic_engine.errors import ConfigError, GenerationError
from critic_engine.types import Message

HOSTILE = [
    "quotes \" and \\ and ' and ```",
    "lines\nand\r\nmore\u2028lines",
    "\x1b[31mred\x1b[0m \x07 \u202eback",
    "emoji 👩‍🔬 and 漢字",
    "{% raw %}{{ bos_token }}</s>",
    "NaN",
    "x" * 100_000,
]


def records(folder: Path, split: str = "train") -> list[dict[str, Any]]:
    (path,) = (
        folder / f"{split}{suffix}" for suffix in (".parquet", ".jsonl") if (folder / f"{split}{suffix}").exists()
    )
    return [dict(record) for record in read_records(path)]


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_texts_are_written_as_they_are(format: str, text: str, export, hand_made, make_row, tmp_path: Path) -> None:
    row_format = format_named(format)
    changes: dict[str, Any] = {"prompt": f"q {text}", "source": "s", "facts": {"note": text[:100]}}
    changes |= {"chosen": f"a {text}"} if row_format.row_type is Preference else {}
    changes |= {"completion": f"a {text}"} if row_format.row_type is Demonstration else {}
    changes |= {"steps": ("one", f"a {text}")} if row_format.row_type is StepLabelled else {}
    report = export(format, hand_made([make_row(row_format.row_type, **changes)]))
    assert dict(report.num_rows) == {"train": 1}
    (record,) = records(tmp_path / format)
    said = "\n".join(turn.text for dialogue in row_format.read(record).dialogues for turn in dialogue)
    assert f"q {text}" in said
    assert "note" not in record or record["note"] == text[:100]


@pytest.mark.parametrize(
    ("reason", "changes"),
    [
        ("not_unicode", {"chosen": "half \ud83d of a pair"}),
        ("not_unicode", {"facts": {"note": "\udc00"}}),
        ("empty_prompt", {"prompt": " \n"}),
        ("empty_answer", {"rejected": "\t"}),
        ("equal_answers", {"chosen": "same", "rejected": " same\n"}),
        ("media_tag", {"prompt": "what does <image> mean ?"}),
        ("media_tag", {"rejected": "an <video> tag"}),
    ],
)
def test_row_that_its_trainer_would_trip_over_is_left_out_and_counted(
    reason: str, changes: dict[str, Any], export, hand_made, make_row, tmp_path: Path
) -> None:
    bad, good = make_row(Preference, 0, **changes), make_row(Preference, 1)
    good = make_row(Preference, 1, facts={name: "n" for name in bad.facts})
    report = export("llamafactory-dpo", hand_made([bad, good]))
    assert (dict(report.num_rows), dict(report.num_left_out)) == ({"train": 1}, {reason: 1})
    card = (tmp_path / "llamafactory-dpo" / "README.md").read_text(encoding="utf-8")
    assert f"| {reason.replace('_', chr(92) + '_')} |" in card


def test_trl_takes_texts_with_tags_since_its_placeholders_are_parts(export, hand_made, make_row) -> None:
    report = export("trl-dpo", hand_made([make_row(Preference, prompt="what does <image> mean ?")]))
    assert dict(report.num_rows) == {"train": 1}


def test_format_of_one_image_leaves_out_rows_with_none_or_two(export, hand_made, make_row) -> None:
    good = make_row(Preference, 0)
    rows = [good, make_row(Preference, 1, images=()), make_row(Preference, 2, images=good.images * 2)]
    assert dict(export("rlaifv", hand_made(rows)).num_left_out) == {"num_images": 2}


class WordCounter:
    """A token a word, ten an image."""

    def count(self, messages: tuple[Message, ...]) -> int:
        if any("<|user|>" in message.text for message in messages):
            raise GenerationError("a control token")
        return sum(len(message.text.split()) + 10 * len(message.images) for message in messages)

    def count_plain(self, texts: tuple[str, ...]) -> int:
        return sum(1 if text == "\n" else len(text.split()) for text in texts)


def test_row_longer_than_the_limit_is_left_out_whole_and_counted(export, hand_made, make_row, tmp_path: Path) -> None:
    rows = [
        make_row(Preference, 0, prompt="one two", chosen="three", rejected="four"),
        make_row(Preference, 1, prompt="one two", chosen="three", rejected="four five"),
        make_row(Preference, 2, prompt="<|user|>", chosen="three", rejected="four"),
    ]
    report = export("trl-dpo", hand_made(rows), limit=LengthLimit(13, "words", WordCounter()))
    assert dict(report.num_left_out) == {"too_long": 1, "not_encodable": 1}
    assert [record["row_id"] for record in records(tmp_path / "trl-dpo")] == ["row-0"]


def test_length_of_labelled_steps_counts_every_turn_that_the_trainer_reads(
    export, hand_made, make_row, tmp_path: Path
) -> None:
    source = hand_made([make_row(StepLabelled)])
    export("visualprm", source)
    (record,) = records(tmp_path / "visualprm")
    said = " ".join(turn["value"] for turn in record["conversations"])
    # The tag is one word, and stands for an image of ten.
    num_tokens = len(said.split()) - 1 + 10
    export("visualprm", source, limit=LengthLimit(num_tokens, "words", WordCounter()), is_overwritten=True)
    with pytest.raises(ConfigError, match="1 too_long"):
        export("visualprm", source, limit=LengthLimit(num_tokens - 1, "words", WordCounter()), is_overwritten=True)


def test_length_is_counted_without_a_template_for_the_trainer_that_uses_none(export, hand_made, make_row) -> None:
    source = hand_made([make_row(StepLabelled)])
    # Seven words of the question, three of each step, and a line break behind each step; no image.
    export("trl-prm", source, limit=LengthLimit(15, "words", WordCounter()))
    with pytest.raises(ConfigError, match="1 too_long"):
        export("trl-prm", source, limit=LengthLimit(14, "words", WordCounter()), is_overwritten=True)


def test_model_without_a_turn_of_the_system_reads_its_words_in_the_turn_of_the_user(export) -> None:
    from critic_engine.backends.huggingface.token_counter import TokenCounter

    found = export("visualprm", limit=LengthLimit(1000, "pocket", TokenCounter("pocket")))
    assert (found.num_rows, found.num_left_out) == ({"train": 4}, {})


def test_image_of_a_row_that_is_too_long_is_not_written(export, hand_made, make_row, tmp_path: Path) -> None:
    rows = [make_row(Preference, 0), make_row(Preference, 1, prompt="why " * 100)]
    export("swift-dpo", hand_made(rows), limit=LengthLimit(50, "words", WordCounter()))
    assert [path.stem for path in (tmp_path / "swift-dpo/images").iterdir()] == [rows[0].images[0].digest]


def test_rows_of_a_problem_never_part_and_the_share_is_kept(export, hand_made, make_row, tmp_path: Path) -> None:
    rows = [make_row(Demonstration, number, problem_id=f"problem-{number % 100}") for number in range(400)]
    export("trl-sft", hand_made(rows), validation_share=0.25)
    train, validation = (
        {record["problem_id"] for record in records(tmp_path / "trl-sft", split)} for split in ("train", "validation")
    )
    assert not train & validation
    assert len(train | validation) == 100
    assert 15 <= len(validation) <= 35


def test_problem_in_validation_stays_there_as_the_share_grows() -> None:
    ids = [str(number) for number in range(200)]
    few, more = ({name for name in ids if split_of(name, share) == "validation"} for share in (0.05, 0.2))
    assert few < more


@pytest.mark.parametrize("format", [name for name in FORMATS if name not in ("rlaifv", "visualprm")])
def test_row_says_where_it_comes_from_and_what_it_is_worth(format: str, export, tmp_path: Path) -> None:
    export(format)
    first = records(tmp_path / format)[0]
    known = {"row_id": "row-0", "problem_id": "0" * 16, "source": "divergent", "depth": 0, "gain": 0.25}
    known |= {"value": 1.0} if format.endswith("-sft") else {}
    known |= {"margin": 0.5} if format.endswith("-dpo") else {}
    assert {name: first.get(name) for name in known} == known


def test_image_is_written_once_under_its_digest(export, hand_made, make_row, tmp_path: Path) -> None:
    rows = [make_row(Preference, number) for number in range(6)]
    export("llamafactory-dpo", hand_made(rows))
    images = sorted((tmp_path / "llamafactory-dpo" / "images").iterdir())
    assert sorted({f"{image.digest}.png" for row in rows for image in row.images}) == [path.name for path in images]


def test_rows_with_images_and_all_facts_come_first_in_json_lines(export, hand_made, make_row, tmp_path: Path) -> None:
    rows = [
        make_row(Preference, 0, images=()),
        make_row(Preference, 1),
        make_row(Preference, 2),
        make_row(Preference, 3, facts={"depth": None, "gain": 1}),
    ]
    export("swift-dpo", hand_made(rows))
    assert [record["row_id"] for record in records(tmp_path / "swift-dpo")] == ["row-2", "row-0", "row-1", "row-3"]


def test_card_survives_whatever_the_run_says(export, hand_made, make_row, tmp_path: Path) -> None:
    rows = [make_row(Demonstration, source="a | b\n---\nlicense: mine </details> \x1b[2J")]
    export("trl-sft", hand_made(rows, 'x: "```\\n````\\n---\\n</details>"\n'), license="cc-by-4.0: yes\n---")
    card = (tmp_path / "trl-sft" / "README.md").read_text(encoding="utf-8")
    assert "\x1b" not in card
    _, front, rest = card.split("\n---\n", 1)[0], *card.removeprefix("---\n").split("\n---\n", 1)
    fields = yaml.safe_load(front)
    assert fields["license"] == "cc-by-4.0: yes\n---"
    assert fields["configs"][0]["data_files"] == [{"split": "train", "path": "train.parquet"}]
    (line,) = (line for line in rest.splitlines() if "a \\| b" in line)
    assert line.replace("\\|", "").count("|") == 4


@pytest.mark.parametrize(("num", "shown"), [(120, "s" * 120), (121, "s" * 119 + "…")])
def test_cell_of_the_card_is_cut_at_120_characters(
    num: int, shown: str, export, hand_made, make_row, tmp_path: Path
) -> None:
    export("trl-sft", hand_made([make_row(Demonstration, source="s" * num)]))
    assert f"| train | {shown} | 1 |" in (tmp_path / "trl-sft" / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("number", [float("nan"), float("inf"), float("-inf")])
def test_number_that_is_not_finite_is_written_as_none(
    number: float, export, hand_made, make_row, tmp_path: Path
) -> None:
    rows = [make_row(Preference, 0, margin=number, facts={"gain": number}), make_row(Preference, 2, facts={"gain": 1})]
    export("swift-dpo", hand_made(rows))
    found = {record["row_id"]: (record["margin"], record["gain"]) for record in records(tmp_path / "swift-dpo")}
    assert found == {"row-0": (None, None), "row-2": (0.5, 1.0)}


def test_group_of_a_parquet_file_has_at_most_1000_rows(export, hand_made, make_row, tmp_path: Path) -> None:
    import pyarrow.parquet

    export("trl-prm", hand_made([make_row(StepLabelled, number) for number in range(1001)]))
    metadata = pyarrow.parquet.read_metadata(tmp_path / "trl-prm" / "train.parquet")
    assert [metadata.row_group(group).num_rows for group in range(metadata.num_row_groups)] == [1000, 1]


def test_card_states_the_columns_of_json_lines_which_have_no_types_of_their_own(export, tmp_path: Path) -> None:
    for format, container in [("swift-dpo", "jsonl"), ("trl-dpo", "parquet")]:
        export(format, container=container)
        front = yaml.safe_load((tmp_path / format / "README.md").read_text(encoding="utf-8").split("\n---\n")[0])
        stated = [column["name"] for column in front.get("dataset_info", {}).get("features", [])]
        assert stated == (list(records(tmp_path / format)[0]) if container == "jsonl" else [])


def test_card_names_files_without_the_folders_they_lie_in(export, hand_made, make_row, tmp_path: Path) -> None:
    config = (
        "collect:\n  filters:\n    evaluation_sets: [/home/me/secret/test.jsonl]\nreasoner: {model: /home/me/qwen}\n"
    )
    export("trl-sft", hand_made([make_row(Demonstration)], config))
    card = (tmp_path / "trl-sft" / "README.md").read_text(encoding="utf-8")
    assert "- test.jsonl" in card
    assert "model: qwen" in card
    assert "/home" not in card


def test_card_tells_of_no_machine(export, hand_made, make_row, tmp_path: Path) -> None:
    config = {
        "reasoner": {
            "model": "qwen",
            "openai_api": {"base_url": "http://10.9.8.7:8000/v1", "api_key_variable": "MY_KEY", "max_retries": 5},
            "vllm": {"engine_args": {"data_parallel_address": "10.9.8.6", "hf_token": "hf_x", "max_model_len": 8192}},
        },
        "collect": {"filters": {"evaluation_sets": ["s3://inner/test.jsonl", "test.jsonl"]}},
        "ray": {"address": "ray://10.9.8.5:10001", "num_search_workers": 2},
    }
    export("trl-sft", hand_made([make_row(Demonstration)], yaml.safe_dump(config)))
    card = (tmp_path / "trl-sft" / "README.md").read_text(encoding="utf-8")
    shown = yaml.safe_load(card.partition("```yaml\n")[2].partition("```")[0])
    assert "10.9.8" not in card
    assert shown["reasoner"] == {
        "model": "qwen",
        "openai_api": {"api_key_variable": "MY_KEY", "max_retries": 5},
        "vllm": {"engine_args": {"max_model_len": 8192}},
    }
    assert shown["collect"] == {"filters": {"evaluation_sets": ["test.jsonl"]}}
    assert shown["ray"] == {"num_search_workers": 2}


def test_card_says_that_no_cluster_was_named(export, hand_made, make_row, tmp_path: Path) -> None:
    export("trl-sft", hand_made([make_row(Demonstration)], "ray:\n  address: null\n"))
    assert "address: null" in (tmp_path / "trl-sft" / "README.md").read_text(encoding="utf-8")


def test_card_and_report_name_the_version(export, tmp_path: Path) -> None:
    export("trl-sft")
    version = importlib.metadata.version("critic-engine")
    assert json.loads((tmp_path / "trl-sft" / "export.json").read_text())["critic_engine_version"] == version
    assert f"Made by Critic Engine {version} from" in (tmp_path / "trl-sft" / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("is_complete", [True, False])
def test_card_and_report_say_when_the_run_is_not_complete(
    is_complete: bool, export, hand_made, make_row, tmp_path: Path
) -> None:
    source = hand_made([make_row(Demonstration)])
    source.stages = (StageCounts("rows", 4, Counter({} if is_complete else {"not_done_yet": 3})),)
    report = export("trl-sft", source)
    note = "The run is not complete: 3 of its problems are not done yet, and have no rows here."
    card = (tmp_path / "trl-sft" / "README.md").read_text(encoding="utf-8")
    assert (note in report.notes) == (f"- {note}" in card.partition("## Known limits")[2]) == (not is_complete)


def test_folders_above_the_export_are_made_and_go_with_one_that_fails(export, hand_made, tmp_path: Path) -> None:
    out = tmp_path / "new" / "deep" / "data"
    with pytest.raises(ConfigError, match="no rows"):
        export("trl-sft", hand_made([]), out=out)
    assert list(tmp_path.iterdir()) == []
    export("trl-sft", out=out)
    assert (out / "README.md").is_file()
    with pytest.raises(ConfigError, match="which is no folder"):
        export("trl-sft", out=out / "README.md" / "below")


@pytest.mark.parametrize("format", FORMATS)
def test_card_says_how_the_trainer_loads_the_folder(format: str, export, tmp_path: Path) -> None:
    export(format, validation_share=0.3)
    card = (tmp_path / format / "README.md").read_text(encoding="utf-8")
    assert "THIS_FOLDER" in card.partition("## Loading it")[2]
    if format == "trl-dpo":
        assert "max_length=None" in card
    if format == "trl-prm":
        assert "Images are left out" in card


@pytest.mark.parametrize(
    ("format", "words"),
    [("trl-prm", "Where it is 0, none were drawn, and the value, 1 or 0, is no share"), ("visualprm", "no completion")],
)
def test_card_and_report_tell_drawn_labels_from_others(format: str, words: str, export, tmp_path: Path) -> None:
    report = export(format)
    (note,) = (note for note in report.notes if words in note)
    assert "binary search" in note
    assert f"- {note}\n" in (tmp_path / format / "README.md").read_text(encoding="utf-8")


def test_unknown_format_names_those_that_exist(export, hand_made) -> None:
    with pytest.raises(ConfigError, match="'dpo' does not exist; choose one of trl-dpo, trl-sft"):
        export("dpo", hand_made([]))


@pytest.mark.parametrize(("format", "container"), [("rlaifv", "jsonl"), ("visualprm", "parquet"), ("trl-dpo", "jsonl")])
def test_container_that_the_trainer_cannot_load_is_refused(format: str, container: str, export, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"cannot load|Parquet files only"):
        export(format, container=container)
    assert list(tmp_path.iterdir()) == []


def test_no_row_to_write_says_what_became_of_them(export, hand_made, make_row, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="the run has no rows for trl-dpo"):
        export("trl-dpo", hand_made([]))
    with pytest.raises(ConfigError, match="left out: 1 equal_answers"):
        export("trl-dpo", hand_made([make_row(Preference, chosen="a", rejected="a")]))
    with pytest.raises(ConfigError, match="lower --validation-share"):
        export("trl-dpo", hand_made([make_row(Preference)]), validation_share=0.999)
    assert list(tmp_path.iterdir()) == []


def test_run_without_rows_says_what_left_out_most_on_the_way(export, hand_made) -> None:
    source = hand_made([])
    source.stages = (
        StageCounts("rows", 107, Counter({"evaluation_set": 60, "not_done_yet": 40})),
        StageCounts("trees", 7, Counter({"all_right": 5, "all_wrong": 2})),
    )
    with pytest.raises(ConfigError) as caught:
        export("trl-dpo", source)
    said = "the run has no rows for trl-dpo; left out: "
    said += "60 rows (evaluation_set), 40 rows (not_done_yet), 5 trees (all_right)"
    assert str(caught.value) == said


def test_fact_that_would_hide_a_column_is_refused(export, hand_made, make_row) -> None:
    with pytest.raises(ValueError, match="facts named chosen"):
        export("trl-dpo", hand_made([make_row(Preference, facts={"chosen": 1})]))


def test_existing_folder_is_kept_unless_it_is_an_export_to_be_replaced(export, tmp_path: Path) -> None:
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "thesis.txt").write_text("do not lose")
    with pytest.raises(ConfigError, match="no earlier export"):
        export("trl-sft", out=mine, is_overwritten=True)
    assert [path.name for path in mine.iterdir()] == ["thesis.txt"]
    out = tmp_path / "out"
    export("llamafactory-sft", out=out)
    with pytest.raises(ConfigError, match="--overwrite"):
        export("trl-sft", out=out)
    export("trl-sft", out=out, is_overwritten=True)
    assert sorted(path.name for path in out.iterdir()) == ["README.md", "export.json", "train.parquet"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mine", "out"]


def test_failed_replacement_keeps_the_earlier_export(export, hand_made, make_row, tmp_path: Path) -> None:
    out = tmp_path / "out"
    export("trl-sft", out=out)
    before = {path.name: path.read_bytes() for path in out.iterdir()}
    with pytest.raises(ConfigError):
        export("trl-sft", hand_made([]), out=out, is_overwritten=True)
    assert {path.name: path.read_bytes() for path in out.iterdir()} == before
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


_FULL_DISK = """
import random, resource, signal, sys
sys.path.insert(0, {here!r})
from conftest import HandMade, picture, row
from critic_engine.data.exports import ExportOptions, export_rows, format_named
from pathlib import Path
kind = format_named({format!r}).row_type
large = picture("green", side=200)
texts = [random.Random(number).randbytes(1000).hex() for number in range(300)]
source = HandMade([row(kind, number, images=(large,), prompt=text) for number, text in enumerate(texts)])
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
try:
    export_rows(source, ExportOptions(format={format!r}, out=Path("out")))
except OSError as error:
    print(type(error).__name__, error.filename, error.strerror)
"""


@pytest.mark.parametrize("format", ["trl-dpo", "llamafactory-dpo", "trl-prm"])
def test_full_disk_leaves_nothing_and_says_so(format: str, tmp_path: Path) -> None:
    program = _FULL_DISK.format(here=str(Path(__file__).parent), format=format)
    result = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, cwd=tmp_path, check=True, timeout=300
    )
    assert result.stdout.startswith("OSError out "), result.stderr
    assert "the export is not there" in result.stdout
    assert list(tmp_path.iterdir()) == []
