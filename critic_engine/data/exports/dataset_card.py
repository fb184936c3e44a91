"""The dataset card of an export: its rows, their making, its limits, and how trainers load it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePath

import yaml

from critic_engine.data.exports.column_types import Column, card_features
from critic_engine.data.exports.exclusions import MEANINGS
from critic_engine.data.exports.options import ExportOptions, ExportReport
from critic_engine.data.markdown import markdown_table, plain_markdown
from critic_engine.data.row_types import StageCounts

# Names of configuration fields, vLLM's own arguments included, that hold addresses or credentials.
_PRIVATE = re.compile(r"(^|_)(url|address|host|ip|port|token|key|password)$")


@dataclass(frozen=True, slots=True)
class CardContents:
    """The contents of a dataset card."""

    report: ExportReport
    options: ExportOptions
    columns: tuple[Column, ...]
    """Of the data files."""
    config_yaml: str
    """The resolved configuration of the run."""
    stages: tuple[StageCounts, ...]
    """The counts of each stage between the run's problems and the rows."""


def write_card(path: Path, facts: CardContents, usage: str) -> None:
    """Write a ``README.md`` by which the hub and ``datasets.load_dataset`` know the files.

    Args:
        path: The file.
        facts: The contents.
        usage: How the trainer loads the folder, as Markdown.
    """
    sections = [_front_matter(facts), _introduction(facts), _counts(facts), _making(facts), _limits(facts)]
    where = "`THIS_FOLDER` stands for where this folder lies."
    sections += [f"## Loading it\n\n{where}\n\n{usage}", _config(facts.config_yaml)]
    path.write_text("\n\n".join(sections) + "\n", encoding="utf-8", errors="backslashreplace")


def _front_matter(facts: CardContents) -> str:
    report = facts.report
    fields: dict[str, object] = {
        "license": facts.options.license,
        "task_categories": ["image-text-to-text" if report.has_images else "text-generation"],
        "tags": ["critic-engine", report.format, f"{report.role}-training"],
        "configs": [
            {
                "config_name": "default",
                "data_files": [{"split": split, "path": file} for split, file in report.files.items()],
            }
        ],
    }
    if report.container == "jsonl":
        # Without it the loader takes the types of the first split, in which a column may have no value.
        fields["dataset_info"] = {"features": card_features(facts.columns)}
    text: str = yaml.safe_dump(fields, sort_keys=False, allow_unicode=False)
    return f"---\n{text}---"


def _introduction(facts: CardContents) -> str:
    report = facts.report
    return (
        f"# Training data for a {report.role} ({report.format})\n\n"
        f"Made by Critic Engine {report.critic_engine_version} from a labelled search: "
        f"{sum(report.num_rows.values())} rows in the format `{report.format}`, as {report.container} files."
    )


def _counts(facts: CardContents) -> str:
    report = facts.report
    rows = [
        (split, source, number)
        for split, sources in report.num_rows_by_source.items()
        for source, number in sorted(sources.items())
    ]
    share = f"{facts.options.validation_share:g}"
    return (
        f"## Rows\n\n{markdown_table(('Split', 'Made by', 'Rows'), rows)}\n\n"
        f"Rows are split by problem: a problem whose hash, of its id, lies in the lowest {share} of all hashes is for "
        "validation with all its rows. No problem is in both."
    )


def _making(facts: CardContents) -> str:
    counts = [line for stage in facts.stages for line in stage.lines()]
    stages = markdown_table(("Stage", "Number"), counts) if counts else "No stages were recorded."
    left_out = [(reason, MEANINGS[reason], number) for reason, number in sorted(facts.report.num_left_out.items())]
    reasons = markdown_table(("Left out", "Because", "Rows"), left_out)
    return f"## How the rows came to be\n\n{stages}\n\n{reasons if left_out else 'No row was left out of this export.'}"


def _limits(facts: CardContents) -> str:
    limit = facts.options.limit
    length = (
        f"No row is longer than {limit.max_tokens} tokens as {plain_markdown(limit.model)} counts all that the trainer "
        "reads of it, images included; longer ones were left out, none was cut."
        if limit
        else "Nothing was cut. The length of rows was not limited, nor were texts searched for control tokens; "
        "`--max-length` with `--tokenizer` does both."
    )
    return "\n".join(
        [
            "## Known limits",
            "",
            *(f"- {note}" for note in facts.report.notes),
            f"- {length}",
            "- No text holds what a model thought before it wrote: the labels judge only what it wrote.",
            "- Right and wrong are judged by the final answer alone: a right answer may stand on a wrong step.",
            "- Questions and images are those of the problems searched; whoever owns them sets what may be done with "
            "them.",
        ]
    )


def _config(config_yaml: str) -> str:
    """Return the configuration without addresses and credentials, and with file names in place of absolute paths."""
    config_yaml = yaml.safe_dump(_without_places(yaml.safe_load(config_yaml)), sort_keys=False)
    longest = max((len(run) for run in re.findall("`+", config_yaml)), default=0)
    fence = "`" * max(3, longest + 1)
    body = config_yaml.strip("\n")
    summary = "<summary>The run's configuration, without addresses and folders</summary>"
    return f"<details>\n{summary}\n\n{fence}yaml\n{body}\n{fence}\n\n</details>"


def _without_places(value: object) -> object:
    if isinstance(value, Mapping):
        return {name: _without_places(each) for name, each in value.items() if not _is_private(str(name), each)}
    if isinstance(value, list):
        return [_without_places(each) for each in value if not _is_private("", each)]
    if isinstance(value, str) and (PurePath(value).is_absolute() or value.startswith("~")):
        return PurePath(value).name
    return value


def _is_private(name: str, value: object) -> bool:
    is_address = isinstance(value, str) and "://" in value
    return is_address or (value is not None and _PRIVATE.search(name) is not None)
