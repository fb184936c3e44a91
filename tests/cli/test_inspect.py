"""``inspect``: a labelled run in tables or as JSON, whole or half-way, whatever its texts hold."""

import json
import re
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any, get_args

import pytest

from critic_engine.backends.scripted import ScriptedGenerator, ScriptedText
from critic_engine.cli.display_names import filter_words, finding_words, reason_words
from critic_engine.cli.estimate import estimate, print_estimate
from critic_engine.config.engine import EngineConfig, load_config
from critic_engine.data.harvest.finding_kinds import INJECTION
from critic_engine.data.problems import read_problems
from critic_engine.engine import Engine
from critic_engine.protocols import GenerationRequest
from critic_engine.roles.checker import Checker
from critic_engine.types import RowFault
from tests.data.harvesting import detected, made_run, tree_findings, words_of

SETTINGS = [
    *("reasoner.backend=scripted", "critic.backend=scripted", "budget.max_tokens=300", "evaluator.num_rollouts=4"),
    *(
        "collect.pairs.check=none",
        "collect.pairs.min_support=0",
        "collect.pairs.min_share=0",
        "collect.labels.kind=tree",
    ),
    *("collect.annotators=[{kind: critic, num_critiques: 2}]", "collect.filters.min_right=3"),
]
SCRIPTED = [f"--set={setting}" for setting in SETTINGS]
HOSTILE = "\x1b[2J\x1b]0;title\x07\u202e[bold red]markup[/] :smile: "


@pytest.fixture
def labelled(tmp_path: Path) -> Path:
    """Twelve problems, of which the scripted reasoner gets some right now and then."""
    path = tmp_path / "labelled.jsonl"
    problems = [{"id": f"p{n}", "question": f"how many of kind {n}?", "answer": str(n % 6), "n": n} for n in range(12)]
    path.write_text("".join(json.dumps(row) + "\n" for row in problems))
    return path


@pytest.fixture
def run(cli, labelled: Path) -> str:
    """A labelled run over them."""
    assert cli("collect", labelled, "--run", "runs/a", *SCRIPTED).code == 0
    return "runs/a"


def inspected(cli, *arguments: object) -> dict[str, Any]:
    result = cli("inspect", *arguments, "--json")
    assert (result.code, result.err) == (0, "")
    (found,) = result.rows
    return dict(found)


def test_whole_run_is_shown(cli, run: str) -> None:
    result = cli("inspect", run)
    assert (result.code, result.err) == (0, "")
    for part in (
        *("rows", "trees", "wrong paths", "divergent pairs", "critiques"),
        *("have no right path", "mean lift", "95 % interval", "pairs by kind: ", "generated for", "the searches"),
        *("last session: ", "no model has a price", "complete: 12 of 12 problems are done"),
        *("chosen: ", "rejected: ", "question: how many of kind", "critique kept by critic, lift +"),
    ):
        assert part in result.out
    assert result.out.count("divergent pair of") == 2
    assert "to come" not in result.out


def test_json_adds_up(cli, run: str, tmp_path: Path) -> None:
    found = inspected(cli, run, "--examples", 3)
    for stage in found["funnel"]["stages"].values():
        assert stage["in"] == sum(stage["left_out"].values()) + stage["kept"]
    assert found["funnel"]["stages"]["critiques"]["kept"] > 0
    tokens = found["tokens"]
    assert tokens["all"] == tokens["search"] + sum(tokens["findings"].values())
    report = json.loads((tmp_path / run / "report.json").read_text())
    assert tokens["all"] == found["last_session"]["num_tokens"]
    assert found["funnel"] == {name: report["collect"][name] for name in ("stages", "lift")}
    assert (found["run"], found["is_complete"], found["num_done"], found["forecast"]) == (run, True, 12, None)
    assert len({example["row_id"] for example in found["examples"]}) == 3


def test_examples_are_as_many_as_asked_for(cli, run: str) -> None:
    assert inspected(cli, run, "--examples", 0)["examples"] == []
    assert "question: " not in cli("inspect", run, "--examples", 0).out


@pytest.mark.parametrize("width", [40, 80, 140])
def test_no_line_is_wider_than_the_terminal(cli, run: str, width: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    assert max(map(len, cli("inspect", run).out.splitlines())) <= width


def test_run_that_was_cut_says_what_is_to_come(cli, labelled: Path) -> None:
    limits = ["--set=run.max_tokens=5000", "--set=run.problems_in_flight=1"]
    assert cli("collect", labelled, "--run", "runs/cut", *SCRIPTED, *limits).code == 1
    found = inspected(cli, "runs/cut")
    assert not found["is_complete"]
    assert 2 <= found["num_done"] < 12
    assert found["num_done"] + found["num_left"] == 12
    assert found["forecast"]["num_tokens"]["estimate"] > found["tokens"]["all"] >= 5000
    text = cli("inspect", "runs/cut").out
    assert f"not complete: {found['num_done']} of 12 problems are done" in text
    for part in ("are not done yet", "to come, if the others are like the first", "tokens left", "time left"):
        assert part in text


def test_pairs_of_one_problem_are_shown_alone(cli, run: str) -> None:
    (example,) = inspected(cli, run, "--examples", 1)["examples"]
    for name in (example["row_id"], example["problem_id"], example["pair_id"]):
        text = cli("inspect", run, "--pair", name).out
        assert f"{example['pair_id']}: divergent pair of {example['row_id']}" in text
        assert "trees" not in text
    assert [example] == inspected(cli, run, "--pair", example["pair_id"])["examples"]


def test_other_filters_are_tried_without_a_new_run(cli, run: str) -> None:
    def num_kept(*settings: str) -> int:
        return int(inspected(cli, run, *settings)["funnel"]["stages"]["critiques"]["kept"])

    assert num_kept("--set", "collect.filters.min_right=0") > num_kept()
    assert num_kept("--set", "collect.filters.min_lift=1", "--set", "collect.filters.min_right=0") == 0


def say(request: GenerationRequest, seed: int) -> str | ScriptedText:
    """Answer, or criticise, with what no terminal should see; every other answer is wrong."""
    if request.messages[-1].text.split("\n")[1:2] == ["solution :"]:
        return ScriptedText(f"wrong step 1 : {HOSTILE}", {"right": 0.1, "wrong": 0.9})
    return f"step 1 : {HOSTILE}{seed % 5}\nanswer : {seed % 2}"


def test_hostile_texts_of_problems_and_models_are_printed_as_text(
    cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    rows = [{"id": f"{HOSTILE}{n}", "question": f"{HOSTILE}how many {n}?", "answer": "0"} for n in range(3)]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    model = ScriptedGenerator(say)
    with Engine(config(), reasoner=model, critic=model, checker=Checker()) as engine:
        list(engine.solve_many(read_problems(tmp_path / "rows.jsonl"), run=tmp_path / "run"))
    result = cli("inspect", "run", "--examples", 3)
    assert result.code == 0
    for part in ("pair of {}", "question: {} how many", "step 1 : {}", "\n    wrong step 1 : {}"):
        assert part.format("[bold red]markup[/] :smile") in result.out.replace(":smile:", ":smile")
    for text in (result.out, cli("inspect", "run", "--json").out):
        assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e]", text)
    assert "title" not in result.out


def test_very_long_texts_are_cut(cli, run: str, tmp_path: Path) -> None:
    (example,) = inspected(cli, run, "--examples", 1)["examples"]
    position = int(example["pair_id"][:6])
    with closing(sqlite3.connect(tmp_path / run / "run.sqlite")) as connection, connection:
        found = json.loads(
            connection.execute(
                "SELECT finding FROM findings WHERE position = ? AND name = 'pairs'", (position,)
            ).fetchone()[0]
        )
        for pair in found["pairs"]:
            pair["chosen"]["steps"] = ["very long " * 1_000] * 100
        connection.execute(
            "UPDATE findings SET finding = ? WHERE position = ? AND name = 'pairs'", (json.dumps(found), position)
        )
    text = cli("inspect", run, "--pair", example["pair_id"]).out
    assert "… and 60 more steps" in text
    assert len(text) < 200_000


def test_run_is_shown_while_another_process_holds_it(cli, run: str, tmp_path: Path) -> None:
    from critic_engine.run.store import RunStore

    with closing(RunStore.open(tmp_path / run)):
        assert cli("inspect", run).code == 0


def test_report_that_is_not_there_leaves_the_time_unknown(cli, run: str, tmp_path: Path) -> None:
    (tmp_path / run / "report.json").unlink()
    assert "seconds: unknown" in cli("inspect", run).out
    assert inspected(cli, run)["last_session"] is None


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (["nowhere"], "nowhere holds no run"),
        (["solved"], "solved is no labelled run; make one with `critic-engine collect`"),
        (["solved", "--set", "collect.filters.min_lift=0"], "solved is no labelled run"),
        (["runs/a", "--pair", "p99"], "runs/a has no pair of 'p99'; name a row's id"),
        (["runs/a", "--set", "run.seed=3"], "only collect.filters.FIELD can be changed"),
        (["runs/a", "--set", "collect.filters.min_lfit=0"], "collect.filters.min_lfit is not a known key"),
        (["runs/a", "--set", "collect.filters.min_lift=7"], "collect.filters.min_lift"),
        (["runs/a", "--set", "collect.filters.min_lift"], "must read section.field=value"),
        (["runs/a", "--examples", "-1"], "--examples"),
        (["runs/a", "--examples", "2", "--pair", "p1"], "leave --examples out"),
        (["runs/a", "--pair", "000001-correct"], "that an export gives a pair, a critique or a corrected answer"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_wrong_usage_is_refused_in_one_line(cli, run: str, labelled: Path, arguments: list[str], part: str) -> None:
    assert cli("solve", labelled, "--run", "solved", "--config", "best_of_n", "--limit", 1, *SCRIPTED[:2]).code == 0
    result = cli("inspect", *arguments)
    assert (result.code, result.out) == (2, "")
    (line,) = result.err.splitlines()
    assert part in line


def test_detections_are_shown_with_the_reason_why_they_have_no_score(
    cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    said = [(words_of("it is 3"), 7), (words_of("it is not 2"), 7), (words_of("so"), 1), (None, None), ("hm", None)]
    made_run(tmp_path / "run", {**tree_findings(), INJECTION.at("0000"): detected(*said)})
    out = cli("inspect", "run").out
    for line in (
        r"injections +1 +1",
        r"detections +5 +1 +cannot be read, or come from a failed request +3",
        r" +1 +could not be graded",
    ):
        assert re.search(rf"^ *{line} *$", out, re.MULTILINE)
    (line,) = [line for line in out.splitlines() if line.startswith("injected errors: ")]
    assert "into 1 solutions, not into 0; 3 of 5 detections scored; 2 preferences of detections, and 1 pairs of" in line
    assert inspected(cli, "run")["injections"]["num_unranked"] == 1


def test_names_of_a_funnel_are_words_and_unknown_ones_are_shown_as_they_are() -> None:
    assert reason_words("critiques", "says_the_same") != reason_words("wrong paths", "says_the_same")
    assert reason_words("rows", "unreadable") != reason_words("critiques", "unreadable")
    assert [words("some_new_one") for words in (filter_words, finding_words)] == ["some new one"] * 2
    assert reason_words("rows", "some_new_one") == "some new one"
    for reason in ("not_detected", "not_graded"):
        assert reason_words("detections", reason) != reason.replace("_", " ")
    for reason in ("equal_scores", "equal_texts"):
        assert "detections" in reason_words("training rows", reason)
    assert all(reason_words("rows", fault) != fault.replace("_", " ") for fault in get_args(RowFault))


def config(*overrides: str) -> EngineConfig:
    return load_config("mmc_collect", [*SETTINGS, *overrides])


def test_estimate_of_all_rows_is_what_they_take(cli, run: str, labelled: Path) -> None:
    found = inspected(cli, run)
    fields = estimate(config("run.max_tokens=1000000"), read_problems(labelled), limit=None, size=12).fields()
    outlook = fields["outlook"]
    assert isinstance(outlook, dict)
    assert (fields["num_rows"], fields["num_sampled"], fields["num_left"]) == (12, 12, 0)
    num = found["tokens"]["all"]
    assert outlook["num_tokens"] == {"estimate": num, "low": num, "high": num}
    assert outlook["num_critiques"]["estimate"] == found["funnel"]["stages"]["critiques"]["kept"]
    assert outlook["num_pairs"]["estimate"] == found["funnel"]["stages"]["divergent pairs"]["kept"]
    assert outlook["share_of_max_tokens"]["estimate"] == round(num / 1_000_000, 4)
    assert fields["cut_by"] is None
    assert outlook["usd"] is None


def test_estimate_by_a_few_rows_is_printed_with_its_intervals_and_keeps_nothing(
    labelled: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    labelled.write_text(labelled.read_text() + '{"question": "how many dogs?"}\n')
    found = estimate(config(), read_problems(labelled), limit=13, size=12)
    assert found.num_unsearchable == 1
    assert print_estimate(found, is_json=False) == 1
    out, err = capsys.readouterr()
    assert "sampled 12 of 13 rows" in out
    assert "1 of them hold no problem that can be searched" in out
    for part in ("tokens", "of searches", "of findings", "time", "no model has a price", "pairs", "critiques kept"):
        assert re.search(rf"^ +{part} ", out, re.MULTILINE) or part in out
    assert "failed in the sample: 13: it has no reference answer" in err
    assert not list((tmp_path / "temporary").iterdir())


def test_estimate_as_json_is_one_object(labelled: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert print_estimate(estimate(config(), read_problems(labelled), limit=6, size=3), is_json=True) == 0
    (line,) = capsys.readouterr().out.splitlines()
    found = json.loads(line)
    assert (found["num_rows"], found["num_sampled"]) == (6, 3)
    bounds = found["outlook"]["num_tokens"]
    assert found["sample_tokens"] <= bounds["low"] <= bounds["estimate"] <= bounds["high"]


def test_sample_stops_at_the_limits_of_the_run_and_is_judged_by_what_is_done(
    labelled: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cut = config("run.max_tokens=5000", "run.problems_in_flight=1")
    found = estimate(cut, read_problems(labelled), limit=None, size=12)
    assert print_estimate(found, is_json=False) == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert "the sample was cut by run.max_tokens=5000" in out
    assert re.search("of the limit +[0-9]{3}", out)
    fields = found.fields()
    assert (fields["num_rows"], fields["cut_by"]) == (12, "run.max_tokens=5000")
    assert fields["num_sampled"] + fields["num_left"] == 12  # type: ignore[operator]
    assert 0 < found.sample.num_tokens < 8_000
    forecast = found.forecast()
    assert forecast is not None
    share = found.share_of_max_tokens(forecast.num_tokens)
    assert share is not None
    assert share.estimate == pytest.approx(forecast.num_tokens.estimate / 5000)


def test_sample_that_a_limit_cuts_before_two_problems_gives_no_estimate(
    labelled: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = estimate(config("run.max_wall_s=0.000001"), read_problems(labelled), limit=None, size=12)
    assert print_estimate(found, is_json=False) == 0
    out = capsys.readouterr().out
    assert "12 more could not be finished" in out
    assert "estimate: none, for it takes two sampled rows at least; raise run.max_wall_s" in out
