"""Measuring: solutions are drawn or read, judged without the references, and never judged twice."""

import json
from pathlib import Path

import pytest

from critic_engine.backends.scripted import ScriptedGenerator
from critic_engine.config.critic_card import CardModel, CriticCard
from critic_engine.config.engine import EngineConfig, load_config
from critic_engine.engine import Engine
from critic_engine.errors import ConfigError, GenerationError, ReplicaLostError, RunError
from critic_engine.evaluation.critic_card.card_options import CardOptions, drawing_config, judging_config
from critic_engine.evaluation.critic_card.measure import Measurement, evaluate_critic
from critic_engine.protocols import GenerationRequest
from critic_engine.roles.checker import Checker

SECRET = "4711"
PROBLEMS = [{"id": f"p{number}", "question": f"How many ants, case {number}?", "answer": SECRET} for number in range(6)]
ALL = CardOptions(num_solutions=3, num_checked=6, num_rewrites=2, num_rollouts=2)
JUDGED = CardOptions(num_solutions=3, num_checked=0)


def reason(request: GenerationRequest, seed: int) -> str:
    """Answer rightly for two seeds in three, in one of two wordings; end a solution that is begun."""
    answer = SECRET if seed % 3 else "12"
    begin = "" if request.prefix else f"I count them {'well' if seed % 2 else 'fast'}.\n"
    return f"{begin}Then I add.\nanswer: {answer}"


def criticise(request: GenerationRequest, seed: int) -> str:
    """See through fast counting."""
    if "fast" in request.messages[-1].text:
        return "Verdict: wrong\nFirst wrong step: 1\nToo fast.\nScore: 0.2"
    return "Verdict: right\nNo corrections needed.\nScore: 0.9"


def reasoner() -> ScriptedGenerator:
    return ScriptedGenerator(reason, is_recording=True)


def critic(**options: object) -> ScriptedGenerator:
    return ScriptedGenerator(criticise, is_recording=True, **options)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def config() -> EngineConfig:
    return load_config("best_of_n", ["run.problems_in_flight=2"])


def measure(
    config: EngineConfig, out: Path, judge: ScriptedGenerator, options: CardOptions = ALL, **named: object
) -> Measurement:
    given = {"source": PROBLEMS, "reasoner": reasoner(), "critic": judge, **named}
    return evaluate_critic(config=config, out=out, options=options, **given)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def whole(config: EngineConfig, tmp_path_factory: pytest.TempPathFactory) -> Measurement:
    """A measurement of all that there is."""
    return measure(config, tmp_path_factory.mktemp("whole") / "card", critic())


@pytest.fixture(scope="module")
def judged(config: EngineConfig, tmp_path_factory: pytest.TempPathFactory) -> Measurement:
    """A measurement that judges each solution once; refused calls leave its folder as it is."""
    return measure(config, tmp_path_factory.mktemp("judged") / "card", critic(), JUDGED)


def folder_of(measurement: Measurement) -> Path:
    return measurement.log.path.parent


def test_card_of_drawn_solutions_counts_what_was_done(whole: Measurement) -> None:
    card = whole.card()
    assert (card.num_problems, card.num_solutions, card.left_out) == (6, 18, {})
    assert (card.critic, card.reasoner) == (CardModel(name="scripted", prompts="plain"),) * 2
    assert (card.critic.prompts, card.kind, card.is_of_search) == ("plain", "critic", False)
    assert card.task.startswith("problems ")
    assert card.answer is not None
    assert card.answer.num == 18
    assert {each.kind: each.num for each in card.flips} == {"again": 6, "spaces": 6, "numbers": 6, "ending": 6}
    assert all(each.flip_share.estimate == 0 for each in card.flips)
    assert card.lift is not None
    assert card.lift.num == 6
    assert card.rollouts is not None
    assert card.rollouts.num == 12
    rows = [json.loads(line) for line in whole.log.path.read_text().splitlines()]
    assert len(rows) == card.num_judged
    assert sum(row["num_drawn"] for row in rows) == 18
    assert {row["value"] for row in rows} == {0.2, 0.9}
    assert all(row["is_answer_right"] == (row["answer"] == SECRET) for row in rows)


def test_critic_reads_no_reference_answer_and_progress_is_told(config: EngineConfig, tmp_path: Path) -> None:
    judge, wrong = critic(), ScriptedGenerator(["I guess.\nanswer: 12"], is_recording=True)
    ends = list[tuple[int, int]]()
    told = {"on_progress": lambda now: ends.append((now.num_done, now.num_total))}
    measure(config, tmp_path / "card", judge, reasoner=wrong, **told)
    assert ends[-1] == (6, 6)
    assert judge.requests
    asked = [message.text for each in (*judge.requests, *wrong.requests) for message in each.messages]
    assert not any(SECRET in text for text in asked)


def test_second_call_asks_nothing_and_gives_the_same_card(config: EngineConfig, whole: Measurement) -> None:
    judge, solver = critic(), reasoner()
    assert measure(config, folder_of(whole), judge, reasoner=solver).card() == whole.card()
    assert (judge.requests, solver.requests) == ([], [])


def test_stopped_measurement_goes_on_and_judges_no_solution_twice(
    config: EngineConfig, judged: Measurement, tmp_path: Path
) -> None:
    undisturbed = judged.card()
    lost = ReplicaLostError("the engine is gone")
    first = critic(faults={3: lost})
    with pytest.raises(ReplicaLostError):
        measure(config, tmp_path / "card", first, JUDGED)
    num_kept = len((tmp_path / "card" / "judgements.jsonl").read_text().splitlines())
    assert num_kept >= 1
    judge = critic()
    assert measure(config, tmp_path / "card", judge, JUDGED).card() == undisturbed
    assert len(judge.requests) == undisturbed.num_judged - num_kept


def test_failed_and_unreadable_judgements_have_no_value(config: EngineConfig, tmp_path: Path) -> None:
    def script(request: GenerationRequest, seed: int) -> str:
        if "case 1" in request.messages[-1].text:
            raise GenerationError("the endpoint is down")
        return "hm" if "case 2" in request.messages[-1].text else criticise(request, seed)

    options = CardOptions(num_solutions=1, num_checked=6, num_rewrites=1)
    card = measure(config, tmp_path / "card", ScriptedGenerator(script), options).card()
    assert card.num_failed == 1
    assert card.unreadable_share.estimate == pytest.approx(1 / 5)
    assert card.answer is not None
    assert card.answer.num == 4
    assert {each.kind: (each.num, each.num_unreadable) for each in card.flips}["again"] == (4, 2)
    assert card.lift is not None
    assert card.lift.num == 4
    judge = critic()
    mended = measure(config, tmp_path / "card", judge, options).card()
    assert mended.num_failed == 0
    assert mended.unreadable_share.estimate == pytest.approx(1 / 6)
    assert {each.messages[-1].text.count("case 1") for each in judge.requests} == {1}


def test_rows_without_a_reference_answer_are_named_and_left_out(config: EngineConfig, tmp_path: Path) -> None:
    rows = [*PROBLEMS[:2], {"id": "bare", "question": "How many bees?"}]
    found = measure(config, tmp_path / "card", critic(), CardOptions(num_checked=0), source=rows)
    assert [(row.id, row.fault) for row in found.unlabelled] == [("bare", "no_reference_answer")]
    assert found.card().left_out == {"no_reference_answer": 1}
    assert found.card().num_problems == 2


def test_solutions_that_are_cut_are_counted(tmp_path: Path) -> None:
    def script(request: GenerationRequest, seed: int) -> str:
        return "so " * 30 if seed % 2 else reason(request, seed)

    config = load_config("best_of_n", ["reasoner.max_tokens=20"])
    solver, options = ScriptedGenerator(script), CardOptions(num_solutions=4, num_checked=0)
    card = measure(config, tmp_path / "card", critic(), options, reasoner=solver).card()
    num_unfinished = card.left_out["unfinished_solution"] + 4 * card.left_out.get("no_solution", 0)
    assert num_unfinished == 24 - card.num_solutions > 0


def test_critic_that_samples_is_judged_at_temperature_0_too(tmp_path: Path) -> None:
    config = load_config("best_of_n", ["critic.temperature=0.8"])
    judge = critic()
    card = measure(config, tmp_path / "card", judge, CardOptions(num_solutions=1, num_rewrites=0)).card()
    assert {each.kind: each.temperature for each in card.flips}["greedy"] == 0
    assert {each.kind: each.temperature for each in card.flips}["again"] == 0.8
    assert sum(each.sampling.temperature == 0 for each in judge.requests) == 12


@pytest.fixture
def run(config: EngineConfig, tmp_path: Path) -> Path:
    folder = tmp_path / "labelled"
    drawing = drawing_config(config, CardOptions(num_solutions=8))
    with Engine(drawing, reasoner=reasoner(), checker=Checker()) as engine:
        list(engine.solve_many(PROBLEMS, run=folder))
    return folder


def test_paths_of_a_labelled_run_are_judged(config: EngineConfig, run: Path, tmp_path: Path) -> None:
    solver = reasoner()
    found = measure(config, tmp_path / "card", critic(), CardOptions(num_checked=0), source=run, reasoner=solver)
    card = found.card()
    assert (card.num_problems, card.num_solutions, card.is_of_search) == (6, 24, True)
    assert card.task.startswith("labelled ")
    assert not (tmp_path / "card" / "solutions").exists()
    assert solver.requests == []


def test_run_without_reference_answers_is_refused(config: EngineConfig, tmp_path: Path) -> None:
    folder = tmp_path / "plain"
    with Engine(drawing_config(config, ALL), reasoner=reasoner()) as engine:
        list(engine.solve_many(PROBLEMS, run=folder))
    with pytest.raises(RunError, match="no labelled run"):
        measure(config, tmp_path / "card", critic(), source=folder)


@pytest.mark.parametrize(
    ("options", "overrides", "named"),
    [
        (CardOptions(num_solutions=2, num_checked=0), [], "another num_solutions: it was 3 and is 2"),
        (CardOptions(num_solutions=3, num_checked=0), ["run.seed=5"], "run.seed was 0 and is 5"),
    ],
)
def test_folder_of_another_measurement_is_refused(
    judged: Measurement, options: CardOptions, overrides: list[str], named: str
) -> None:
    other = load_config("best_of_n", ["run.problems_in_flight=2", *overrides])
    with pytest.raises(RunError, match=named):
        measure(other, folder_of(judged), critic(), options)


@pytest.mark.parametrize(
    ("rows", "named"),
    [
        (PROBLEMS[:5], "they were 6 rows and are 5"),
        ([*PROBLEMS, {"question": "How many bees?", "answer": "1"}], "they were 6 rows and are more"),
        ([*PROBLEMS[:5], {**PROBLEMS[5], "question": "How many bees?"}], r"row 6 \(p5\) has changed"),
        ([{**PROBLEMS[0], "answer": "5"}, *PROBLEMS[1:]], r"row 1 \(p0\) has changed"),
    ],
)
def test_other_problems_in_the_same_folder_are_refused(
    config: EngineConfig, judged: Measurement, rows: list[dict[str, str]], named: str
) -> None:
    with pytest.raises(RunError, match=named):
        measure(config, folder_of(judged), critic(), JUDGED, source=rows)


def test_folder_with_other_files_is_refused_and_kept(config: EngineConfig, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(RunError, match="is not the folder of such a measurement"):
        measure(config, tmp_path, critic())
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


def test_pocket_critic_is_not_asked_about_texts_of_another_model(tmp_path: Path) -> None:
    config = load_config("best_of_n", ["reasoner.model=an-owner/a-model", "critic.model=pocket"])
    with pytest.raises(ConfigError, match="the pocket critic cannot read what an-owner/a-model writes"):
        evaluate_critic(PROBLEMS, config, tmp_path / "card")


def test_method_that_asks_no_model_has_no_card() -> None:
    with pytest.raises(ConfigError, match=r"evaluator\.kind is 'none'"):
        judging_config(load_config("majority"))


def test_pocket_solutions_have_labelled_steps(tmp_path: Path) -> None:
    from critic_engine.pocket.problems import make_problems

    rows = [problem.row() for problem in make_problems("dev", num=4, seed=3)]
    config = load_config("best_of_n", ["reasoner.backend=scripted", "critic.backend=scripted"])
    found = evaluate_critic(rows, config, tmp_path / "card", options=CardOptions(num_solutions=2, num_checked=1))
    card: CriticCard = found.card()
    assert card.steps is not None
    assert card.steps.base_rate.estimate == 0
    assert card.first_wrong_step is not None
    assert card.first_wrong_step.num == card.num_solutions == 8
    assert card.critic.name == "scripted:pocket"
