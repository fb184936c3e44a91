"""The simulated worlds: what they promise of reasoner and critic, and that their searches are those of the engine."""

import asyncio
import json
import math
import random
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from bench import worlds
from bench.world_models.cells import RULES, Task, run_task, run_tasks
from bench.world_models.kept_cells import KeptCells, settings_hash
from bench.world_models.methods import METHODS, SAMPLE_ON, Method, parse_method
from bench.world_models.problems import COMMON, EMPTY, NUM_RARE, RIGHT, Drawn, Text, World
from bench.world_models.regimes import REGIMES, Regime
from bench.world_models.report import best_rules, compare, verdict
from bench.world_models.searches import Desk, Search, Written, claims, vote
from critic_engine.config.engine import load_config
from critic_engine.episode.episode import Episode
from critic_engine.errors import ConfigError
from critic_engine.protocols import Continuation, Evaluation, Expansion, ExpansionContext
from critic_engine.seeds import derive_seed
from critic_engine.statistics.intervals import auroc
from critic_engine.types import Critique, Problem, TokenUsage, Trajectory

PLAIN = Regime("plain", depth=(6, 6), p_right=0.8, repeated=0.5, wordings=3)


def texts(regime: Regime, num: int, *, num_steps: int | None = None) -> list[tuple[World, Text]]:
    """Return so many texts of as many problems, of so many steps or whole."""
    found = []
    for number in range(num):
        world, rng = World(regime, str(number)), random.Random(number)
        text = EMPTY
        while not text.is_finished and (num_steps is None or len(text.claims) < num_steps):
            text = world.step(text, rng)
        found.append((world, text))
    return found


@pytest.mark.parametrize("asked", [0.5, 0.7, 0.9])
@pytest.mark.parametrize("along_path", [0.0, 0.9])
def test_the_critic_has_the_auroc_that_was_asked_for(asked: float, along_path: float) -> None:
    judged = texts(replace(PLAIN, auroc=asked, along_path=along_path), 2000, num_steps=2)

    found = auroc([world.value(text) for world, text in judged], [not text.wrongs for _, text in judged])

    assert found == pytest.approx(asked, abs=0.03)


def test_an_inverted_critic_ranks_as_badly_as_it_was_good() -> None:
    judged = texts(replace(PLAIN, auroc=0.8, critic="inverted"), 2000, num_steps=3)

    found = auroc([world.value(text) for world, text in judged], [not text.wrongs for _, text in judged])

    assert found == pytest.approx(0.2, abs=0.03)


def test_a_critic_of_a_narrow_range_stays_in_it_and_ranks_as_before() -> None:
    plain = [world.value(text) for world, text in texts(PLAIN, 200)]
    near = [world.value(text) for world, text in texts(replace(PLAIN, range=(0.95, 1.0)), 200)]

    assert all(0.95 <= value <= 1 for value in near)
    assert sorted(range(200), key=plain.__getitem__) == sorted(range(200), key=near.__getitem__)


def test_a_constant_critic_says_the_same_of_everything() -> None:
    assert {world.value(text) for world, text in texts(replace(PLAIN, critic="constant"), 50)} == {0.5}


def test_a_critic_that_likes_beginnings_rates_them_higher_than_whole_texts() -> None:
    regime = replace(PLAIN, unfinished_bias=3.0)
    beginnings = [world.value(text) for world, text in texts(regime, 300, num_steps=5)]
    wholes = [world.value(text) for world, text in texts(regime, 300)]

    assert sum(beginnings) / 300 > sum(wholes) / 300 + 0.2


def test_a_critic_that_likes_length_rates_longer_texts_higher() -> None:
    judged = texts(replace(PLAIN, auroc=0.5, length_bias=3.0), 600)
    longer = [world.value(text) for world, text in judged if text.tokens > 6 * 30]
    shorter = [world.value(text) for world, text in judged if text.tokens <= 6 * 30]

    assert sum(longer) / len(longer) > sum(shorter) / len(shorter) + 0.2


def test_the_critics_noise_goes_along_a_path_as_far_as_was_asked() -> None:
    world = World(replace(PLAIN, along_path=0.9), "0")
    products = []
    for seed in range(2000):
        first = world.step(world.step(EMPTY, random.Random(seed)), random.Random(-seed - 1))
        second = world.step(first, random.Random(seed + 5000))
        products.append(first.noise * second.noise)
    # Texts of one problem are few, so the mean over them is far from that of all noise.
    assert sum(products) / len(products) > 0.4


def test_equal_texts_have_one_value_one_length_and_one_answer() -> None:
    world = World(replace(PLAIN, wordings=1), "0")
    found: dict[int, set[tuple[float, int, int | None]]] = {}
    for seed in range(300):
        text = world.complete(EMPTY, random.Random(seed))
        found.setdefault(text.key, set()).add((world.value(text), text.tokens, world.answer(text)))

    assert 1 < len(found) < 300
    assert all(len(facts) == 1 for facts in found.values())


def test_claims_are_right_and_errors_are_common_as_often_as_was_asked() -> None:
    world = World(PLAIN, "0")
    rng = random.Random(1)
    counts = Counter(world.step(EMPTY, rng).claims[-1] for _ in range(8000))

    assert counts[RIGHT] / 8000 == pytest.approx(0.8, abs=0.02)
    assert counts[COMMON] / (8000 - counts[RIGHT]) == pytest.approx(0.5, abs=0.05)
    assert len(counts) == 2 + NUM_RARE


def test_hard_places_are_as_many_as_was_asked() -> None:
    regime = replace(PLAIN, share_hard=0.3, p_hard=0.4)
    places = [p for number in range(500) for p in World(regime, str(number)).p_right]

    assert places.count(0.4) / len(places) == pytest.approx(0.3, abs=0.03)


def test_the_probabilities_of_all_steps_sum_to_1_where_wordings_are_few() -> None:
    world = World(PLAIN, "0")
    chosen = [RIGHT, COMMON, *range(2, 2 + NUM_RARE)]
    steps = [
        world.extended(EMPTY, Drawn(claim, wording, world.worded(0, claim, random.Random(0)).log_prior))
        for claim in chosen
        for wording in range(3)
    ]

    assert math.fsum(math.exp(step.last_log_prior) for step in steps) == pytest.approx(1)


def test_a_step_that_is_worded_anew_costs_probability_for_each_token() -> None:
    world = World(replace(PLAIN, wordings=None, nats_a_token=0.5), "0")
    step = world.extended(EMPTY, world.worded(0, RIGHT, random.Random(0)))

    assert step.last_log_prior == pytest.approx(math.log(0.8) - 0.5 * step.tokens)


def test_misleading_probabilities_prefer_the_common_error() -> None:
    world = World(replace(PLAIN, log_probabilities="misleading", p_right=0.9), "0")
    right, common = (world.worded(0, claim, random.Random(0)).log_prior for claim in (RIGHT, COMMON))

    assert common == pytest.approx(math.log(0.9))
    assert right == pytest.approx(math.log(0.05))


def test_the_same_wrong_claims_lead_to_the_same_wrong_answer_in_any_words() -> None:
    world = World(replace(PLAIN, wordings=None, lucky=0.0), "0")

    def written(drawn: list[int], seed: int) -> Text:
        text, rng = EMPTY, random.Random(seed)
        for claim in drawn:
            text = world.extended(text, world.worded(text.place, claim, rng))
        return text

    one, again, other = written([0, 1, 0, 0, 0, 0], 0), written([0, 1, 0, 0, 0, 0], 1), written([0, 0, 1, 0, 0, 0], 2)

    assert one.key != again.key
    assert world.answer(one) == world.answer(again) != world.answer(other)
    assert world.right_answer not in (world.answer(one), world.answer(other))
    assert world.answer(written([0] * 6, 3)) == world.right_answer


def test_with_four_choices_a_quarter_of_the_wrong_solutions_answer_right() -> None:
    regime = replace(PLAIN, num_wrong_answers=3, lucky=0.25, p_right=0.5, wordings=None)
    wrong = [world.answer(text) == world.right_answer for world, text in texts(regime, 1500) if text.wrongs]
    world = World(regime, "0")
    answers = {world.answer(world.complete(EMPTY, random.Random(seed))) for seed in range(300)}

    assert sum(wrong) / len(wrong) == pytest.approx(0.25, abs=0.04)
    assert len(answers) == 4


def test_a_step_without_a_claim_makes_the_solution_longer_and_no_worse() -> None:
    written = texts(replace(PLAIN, filler=0.5, p_right=1.0), 200)

    assert sum(len(text.claims) for _, text in written) / 200 == pytest.approx(12, abs=1.5)
    assert all(world.answer(text) == world.right_answer for world, text in written)


def test_the_unit_of_the_budgets_is_the_mean_length_of_a_solution() -> None:
    for regime in (PLAIN, replace(PLAIN, filler=0.3, depth=(4, 9)), replace(PLAIN, wrong_tokens=1.5)):
        written = texts(regime, 800)

        assert sum(text.tokens for _, text in written) / 800 == pytest.approx(regime.solution_tokens, rel=0.03)


def test_a_critic_that_is_always_right_repairs_the_first_wrong_step() -> None:
    regime = replace(PLAIN, auroc=1 - 1e-12, repair=1.0, wordings=None, p_right=0.5)
    for world, text in texts(regime, 100):
        pointed = world.objection(text)
        rewritten = world.rewrite(text, random.Random(0))

        assert pointed == next((place for place, claim in enumerate(text.claims) if claim), None)
        if pointed is None:
            assert rewritten.claims == text.claims
        else:
            assert rewritten.claims[: pointed + 1] == (*text.claims[:pointed], RIGHT)


def test_the_critique_of_a_worse_critic_repairs_less() -> None:
    def share_right(value: float) -> float:
        regime = replace(PLAIN, auroc=value, repair=1.0)
        rng = random.Random(1)
        wrong = [(world, text) for world, text in texts(regime, 1000) if text.wrongs]
        return sum(not world.rewrite(text, rng).wrongs for world, text in wrong) / len(wrong)

    assert share_right(0.95) - 0.05 > share_right(0.75) > share_right(0.55) + 0.05


@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.name)
def test_each_method_gives_the_same_for_the_same_seed_and_counts_what_it_spends(method: Method) -> None:
    regime = replace(PLAIN, wordings=None, critic_tokens=7)
    world = World(regime, "0")
    one = method.solver(regime, budget=6, seed=1).solve(world)
    again = method.solver(regime, budget=6, seed=1).solve(World(regime, "0"))

    assert one == again
    spent = one.spent
    assert spent.critic_tokens % 7 == 0
    # Every request reads the question.
    assert spent.prompt_tokens >= 100 * spent.num_requests
    assert (spent.critic_tokens == 0) == (method.name == "majority")
    assert spent.tokens >= 6 * regime.solution_tokens


def test_majority_spends_the_tokens_of_its_solutions_and_ends_with_the_one_that_crosses_the_budget() -> None:
    regime = replace(PLAIN, spread=0.0, wordings=None)
    result = parse_method("majority").solver(regime, budget=3.5, seed=0).solve(World(regime, "0"))

    assert result.spent.tokens == 4 * 6 * 30
    assert result.num_finished == 4
    assert result.spent.prompt_tokens == 4 * 100


def test_best_of_n_pays_for_each_critique_and_reads_the_solution_for_it() -> None:
    regime = replace(PLAIN, spread=0.0, wordings=None, critic_tokens=20)
    result = parse_method("best_of_n").solver(regime, budget=2, seed=0).solve(World(regime, "0"))

    assert result.spent.tokens == 2 * (180 + 20)
    assert result.spent.critic_tokens == 40
    assert result.spent.prompt_tokens == 2 * 100 + 2 * (100 + 180)


def test_a_step_search_rereads_its_prefixes_which_a_cache_would_hold() -> None:
    regime = replace(PLAIN, spread=0.0, wordings=None, critic_tokens=20, depth=(3, 3))
    method = parse_method("one=mcts+strategy.max_proposals=1")
    result = method.solver(regime, budget=9, seed=0).solve(World(regime, "0"))

    assert result.spent.tokens == 3 * (30 + 20)
    # Reasoner: 0, 30 and 60 tokens behind the question; critic: 30, 60 and 90.
    assert result.spent.prompt_tokens == 6 * 100 + (0 + 30 + 60) + (30 + 60 + 90)
    assert result.spent.uncached_tokens == 2 * 100 + 90


def test_a_duplicate_is_written_again_and_judged_once() -> None:
    regime = replace(PLAIN, p_right=1.0, wordings=1, spread=0.0, critic_tokens=20)
    result = parse_method("best_of_n").solver(regime, budget=3, seed=0).solve(World(regime, "0"))

    assert result.spent.num_duplicates == result.spent.num_drawn - 1
    assert result.spent.critic_tokens == 20


def test_a_search_without_a_finished_path_completes_its_best_beginning_beyond_the_budget() -> None:
    regime = replace(PLAIN, wordings=None, depth=(20, 20), spread=0.0)
    result = parse_method("mcts").solver(regime, budget=0.3, seed=0).solve(World(regime, "0"))

    assert result.num_finished == 0
    assert result.spent.tokens > 0.3 * 600 + 15 * 30
    assert len(set(result.is_right.values())) == 1


def test_a_perfect_judge_of_meaning_merges_all_wordings_of_a_claim() -> None:
    world = World(replace(PLAIN, wordings=None, p_right=1.0), "0")
    config = load_config("mcts", ["budget.max_tokens=600"])
    by_words, by_claims = Search(world, config, seed=0), Search(world, config, seed=0, key=claims)
    by_words.run()
    by_claims.run()

    assert len(by_words.tree.root.children) == 8
    assert len(by_claims.tree.root.children) == 1


def test_votes_count_each_time_that_an_answer_was_written() -> None:
    solutions = [Written(Text(key=key), value, None) for key, value in ((1, 0.9), (2, 0.5), (2, 0.5))]

    assert vote(lambda text: text.key, solutions, [each.value or 0.0 for each in solutions]) == 2
    assert vote(lambda text: text.key, [], []) is None


def test_texts_that_are_lost_are_paid_for() -> None:
    regime = replace(PLAIN, lost=1.0)
    desk = Desk(World(regime, "0"), random.Random(0))

    assert desk.step(EMPTY) is None
    assert desk.spent.tokens > 0


class WorldModels:
    """Reasoner and critic of a world behind the engine's protocols."""

    def __init__(self, world: World, *, is_step: bool) -> None:
        """Take the world whose texts the trajectories stand for."""
        self._desk = Desk(world, random.Random(derive_seed("draws", world.name, 0)))
        self._is_step = is_step
        self._texts: dict[tuple[str, ...], Text] = {(): EMPTY}

    def _continuation(self, base: Trajectory, text: Text) -> Continuation:
        before = self._texts[base.steps]
        is_rewrite = not self._is_step and bool(base.steps)
        steps = tuple(f"{text.key} {number}" for number in range(len(before.claims), len(text.claims)))
        if is_rewrite:
            steps = tuple(f"{text.key} {number}" for number in range(len(text.claims)))
        self._texts[steps if is_rewrite else base.steps + steps] = text
        answer = self._desk.world.answer(text)
        return Continuation(
            steps,
            is_rewrite,
            text.is_finished,
            None if answer is None else str(answer),
            math.exp(text.last_log_prior if self._is_step else text.log_prior),
            num_tokens=text.tokens if is_rewrite else text.tokens - before.tokens,
        )

    async def expand(self, problem: Problem, context: ExpansionContext, *, seeds: tuple[int, ...]) -> Expansion:
        """Draw as many steps or solutions as there are seeds, from the world's one sequence of draws."""
        base = self._texts[context.trajectory.steps]
        before = self._desk.spent.tokens
        drawn = [self._desk.step(base) if self._is_step else self._desk.solution(base) for _ in seeds]
        found = tuple(self._continuation(context.trajectory, text) for text in drawn if text is not None)
        return Expansion(found, usage(self._desk.spent.tokens - before))

    async def finish(self, problem: Problem, trajectory: Trajectory, *, seeds: tuple[int, ...]) -> Expansion:
        """Complete a trajectory."""
        base = self._texts[trajectory.steps]
        text = self._desk.completed(base)
        return Expansion((self._continuation(trajectory, text),), usage(text.tokens - base.tokens))

    async def evaluate(self, problem: Problem, trajectory: Trajectory, *, seed: int) -> Evaluation:
        """Judge a trajectory."""
        before = self._desk.spent.tokens
        value = self._desk.judge(self._texts[trajectory.steps], known=EMPTY)
        return Evaluation(value, Critique("", "right", value), usage(self._desk.spent.tokens - before))


def usage(num_tokens: int) -> TokenUsage:
    """Return the usage of so many generated tokens."""
    return TokenUsage(generated_tokens=num_tokens)


@pytest.mark.parametrize(
    "method",
    [
        *METHODS,
        Method("dvts", "dvts"),
        Method("critic_v", "critic_v"),
        Method("no prior", "mcts", ("strategy.max_proposals=2", "decision.rule=best_value")),
    ],
    ids=lambda method: method.name,
)
def test_a_search_is_that_of_the_engine(method: Method) -> None:
    regime = replace(PLAIN, wordings=2, depth=(9, 9), critic_tokens=7)
    problem = Problem("How many?")
    world = World(regime, "0")
    world.problem_id = problem.problem_id
    config = method.config(max_tokens=6 * regime.solution_tokens, seed=0, num_paths=6)
    search = Search(world, config, seed=0)
    result = search.run()

    models = WorldModels(world, is_step=config.expander.kind == "step")
    is_judged = config.evaluator.kind != "none"
    episode = Episode(problem, config, expanders=[models], evaluator=models if is_judged else Unjudged())
    answer = asyncio.run(episode.run())

    assert [node.value for node in episode.tree.nodes] == [node.value for node in search.tree.nodes]
    assert [node.visit_count for node in episode.tree.nodes] == [node.visit_count for node in search.tree.nodes]
    assert answer.num_tokens == result.spent.tokens
    if method.name != "majority":  # which breaks ties by the names of the answers
        assert (answer.answer == str(world.right_answer)) == result.is_right["own"]


class Unjudged:
    """An evaluator that judges nothing."""

    async def evaluate(self, problem: Problem, trajectory: Trajectory, *, seed: int) -> Evaluation:
        """Return that nothing is known."""
        return Evaluation(None, None, TokenUsage())


def test_the_grid_has_at_least_24_regimes_with_names_of_their_own() -> None:
    assert len({regime.name for regime in REGIMES}) == len(REGIMES) >= 24


def test_processes_give_the_same_cells_as_one() -> None:
    tasks = [Task(PLAIN, parse_method(name), 3, 3, 1, "dev") for name in ("mcts", "best_of_n")]

    assert list(run_tasks(tasks, num_jobs=2)) == list(run_tasks(tasks, num_jobs=1))


def test_dev_and_test_problems_differ() -> None:
    dev, test = (run_task(Task(PLAIN, parse_method("best_of_n"), 2, 20, 1, split)) for split in ("dev", "test"))

    assert dev.right != test.right


def test_a_method_is_a_preset_a_file_or_either_with_overrides(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("strategy: {kind: mcts, max_proposals: 6}\n")
    changed = parse_method(f"mine={path}+strategy.exploration=2+decision.rule=best_value")

    assert parse_method("majority").overrides == (SAMPLE_ON,)
    assert parse_method("rstar") == Method("rstar", "rstar")
    assert parse_method("more=best_of_n+decision.rule=majority").overrides == (SAMPLE_ON, "decision.rule=majority")
    assert changed.name == "mine"
    config = changed.config(max_tokens=10, seed=3)
    assert (config.strategy.options.max_proposals, config.strategy.options.exploration) == (6, 2)  # type: ignore[union-attr]
    assert (config.decision.rule, config.run.seed, config.max_cost) == ("best_value", 3, 10)


def test_a_method_that_revises_steps_is_refused() -> None:
    with pytest.raises(ConfigError, match="revise no steps"):
        parse_method("mine=mcts+expander.max_revisions=1").config(max_tokens=10, seed=0)


def test_the_report_begins_with_the_largest_loss_and_the_bar_fails_by_it() -> None:
    cells = [
        run_task(Task(replace(PLAIN, name=name, wordings=wordings), parse_method(method), 4, 30, 1, "dev"))
        for name, wordings in (("anew", None), ("few", 1))
        for method in ("mcts", "majority", "particle")
    ]
    rules = best_rules(cells, "own")
    found = compare(cells, ours="mcts", rules=rules)

    assert [each.difference.estimate for each in found] == sorted(each.difference.estimate for each in found)
    for each in found:
        rivals = [cell for cell in cells if cell.regime == each.ours.regime and cell.method != "mcts"]
        assert each.theirs.accuracy("own") == max(cell.accuracy("own") for cell in rivals)
    facts = verdict(found)
    assert facts["num_cells"] == 2
    assert facts["holds"] == (facts["worst"] >= -0.03 and facts["num_ahead"] >= 1)


def test_the_best_rule_of_a_method_is_one_for_all_its_cells() -> None:
    cells = [run_task(Task(PLAIN, parse_method("best_of_n"), budget, 20, 1, "dev")) for budget in (2, 4)]
    (rule,) = best_rules(cells, "best").values()

    assert sum(cell.accuracy(rule) for cell in cells) == max(
        sum(cell.accuracy(each) for cell in cells) for each in RULES
    )


def test_the_bench_prints_its_tables_and_one_json_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    report = tmp_path / "report.md"
    words = [
        "--num",
        "5",
        "--split",
        "dev",
        "test",
        "--budgets",
        "2",
        "--regimes",
        "short",
        "--methods",
        "mcts",
        "majority",
    ]
    monkeypatch.setattr(
        "sys.argv", ["worlds", *words, "--method", "two=mcts+strategy.max_proposals=2", "--report", str(report)]
    )

    worlds.main()
    last = json.loads(capsys.readouterr().out.splitlines()[-1])

    assert last["bench"] == "worlds"
    ours = ("guided", "guided with card")
    assert list(last["results"]["verdicts"]) == [f"{split}: {name}" for split in ("dev", "test") for name in ours]
    assert {cell["method"] for cell in last["results"]["cells"]} == {"mcts", "majority", "two"}
    assert "losses first" in report.read_text()


def test_kept_cells_are_not_run_again_unless_their_settings_change(tmp_path: Path) -> None:
    path = tmp_path / "kept" / "cells.jsonl"
    tasks = [Task(PLAIN, parse_method(name), 2, 3, 1, "dev") for name in ("mcts", "particle")]
    first = list(KeptCells(path).run(tasks, num_jobs=1))
    path.write_text(path.read_text() + '{"settings": "cut')
    again = list(KeptCells(path).run(tasks, num_jobs=1))
    other = Task(PLAIN, parse_method("mcts=mcts+strategy.max_proposals=2"), 2, 3, 1, "dev")

    assert again == first
    assert len(path.read_text().splitlines()) == 2
    assert len({settings_hash(task) for task in (*tasks, other, replace(tasks[0], budget=3))}) == 4


def test_a_cell_that_is_asked_for_twice_is_run_once_and_displaces_no_other() -> None:
    mcts, particle = (Task(PLAIN, parse_method(name), 2, 3, 1, "dev") for name in ("mcts", "particle"))
    cells = KeptCells(None).run([mcts, mcts, particle], num_jobs=1)
    assert [cell.method for cell in cells] == ["mcts", "mcts", "particle"]


def test_an_override_that_does_not_fit_ends_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["worlds", "--method", "mine=mcts+strategy.no_such=1"])

    with pytest.raises(SystemExit, match=r"mine: .*no_such"):
        worlds.main()


def test_words_that_name_no_regime_end_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["worlds", "--regimes", "no such"])

    with pytest.raises(SystemExit, match="no regime is called like no such"):
        worlds.main()
