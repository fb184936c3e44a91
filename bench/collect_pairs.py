"""What does collecting make of pocket problems, and are its divergent pairs what they claim to be?

    python -m bench.collect_pairs --split train --num 1000 --seed 21 --report bench/results/collect_pairs.md

Everything is made by the command line, as a user would: the problems, the run, and an export for each kind of trainer.
The funnel is then counted again from the run, and must add up. At last the pocket world's oracle, which knows what is
true of every step, looks at divergent pairs: the first step of the rejected branch should be wrong, and that of the
chosen branch right. Pairs are looked at as they parted, with the support that the run asks for, and as they were
believed after the critic looked too. First errors are looked at likewise. The last line of stdout is one JSON object.
"""

import argparse
import json
import random
import shutil
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench.provenance import print_report, write_report
from critic_engine.config.collect import CollectConfig
from critic_engine.data.harvest.finding_kinds import INJECTION
from critic_engine.data.harvest.pair_checks import support_fault
from critic_engine.data.harvest.pairs import Pair
from critic_engine.data.selection.funnel import Funnel
from critic_engine.data.selection.selected_findings import SelectedProblem, Selection
from critic_engine.pocket.problems import PocketProblem, problem_of
from critic_engine.run.store import RunStore
from critic_engine.statistics.intervals import Interval, share

EXPORTS = (
    ("trl-dpo", "critic"),
    ("trl-dpo", "reasoner"),
    ("llamafactory-sft", "critic"),
    ("trl-kto", "critic"),
    ("visualprm", "reasoner"),
)
"""Which formats are written, and for which role."""
GROUPS = ("divergent", "divergent, supported", "divergent, believed", "first error", "first error, believed")
NOTES = (
    "One run. Lifts are means over critiques with the bootstrap over problems; after a filter they rest on draws that",
    "no filter saw. The oracle's shares have Wilson's intervals, as if pairs of one problem were independent.",
    "",
)


@dataclass(frozen=True)
class Verdict:
    """The oracle's verdict on the divergence point of one pair."""

    is_rejected_wrong: bool
    is_chosen_right: bool


@dataclass
class Sample:
    """Some of a stream of pairs, each as likely as any other to be among them (Vitter, 1985, algorithm R)."""

    max_size: int
    rng: random.Random
    num_seen: int = 0
    verdicts: list[Verdict] = field(default_factory=list)

    def add(self, verdict: Verdict) -> None:
        """Take up one more, maybe in the place of another."""
        self.num_seen += 1
        if len(self.verdicts) < self.max_size:
            self.verdicts.append(verdict)
        elif (place := self.rng.randrange(self.num_seen)) < self.max_size:
            self.verdicts[place] = verdict

    def shares(self) -> dict[str, Interval]:
        """Return the shares of pairs whose first own steps the oracle calls wrong, right, or both."""
        num = len(self.verdicts)
        counts = {
            "rejected wrong and chosen right": sum(v.is_rejected_wrong and v.is_chosen_right for v in self.verdicts),
            "rejected wrong": sum(v.is_rejected_wrong for v in self.verdicts),
            "chosen right": sum(v.is_chosen_right for v in self.verdicts),
        }
        return {name: share(count, num) for name, count in counts.items()} if num else {}


@dataclass(frozen=True)
class Findings:
    """Counts of one run."""

    funnel: Funnel
    num_pairs: Mapping[str, int]
    """By kind."""
    samples: Mapping[str, Sample]
    """By ``GROUPS``."""


def run_command(*arguments: object) -> tuple[float, str]:
    """Run the command line; return how many seconds it took, and its stdout."""
    command = [sys.executable, "-m", "critic_engine", *map(str, arguments)]
    started_s = time.perf_counter()
    result = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    if result.returncode:
        raise SystemExit(f"{' '.join(command)} ended with {result.returncode}")
    return time.perf_counter() - started_s, result.stdout


def collect(args: argparse.Namespace, problems: Path, run: Path) -> float:
    """Make the problems and the run; return how many seconds collecting took."""
    run_command("pocket", "make", "--split", args.split, "--num", args.num, "--seed", args.seed, "--out", problems)
    changes = [f"--set={change}" for change in args.overrides]
    wall_s, _ = run_command("collect", problems, "--config", args.config, "--run", run, *changes)
    return wall_s


def export(run: Path, folder: Path) -> dict[str, dict[str, Any]]:
    """Write all exports; return the seconds and rows of each, by format and role."""
    found = {}
    for name, role in EXPORTS:
        out = folder / f"{name}-{role}"
        wall_s, printed = run_command("export", run, "--format", name, "--role", role, "--out", out, "--json")
        report = json.loads(printed.splitlines()[-1])
        found[out.name] = {
            "wall_s": round(wall_s, 2),
            "num_rows": report["num_rows"],
            "num_left_out": report["num_left_out"],
        }
    return found


def look(run: Path, args: argparse.Namespace) -> Findings:
    """Return the counts of the run, read problem by problem."""
    samples = {name: Sample(args.max_judged, random.Random(f"{args.seed}:{name}")) for name in GROUPS}
    kinds: Counter[str] = Counter()
    num_kept = num_believed = num_scored = 0
    with RunStore.view(run) as store:
        selection = Selection(store)
        for harvested in selection:
            kinds.update(pair.kind for pair in harvested.pairs)
            num_kept += sum(critique.is_kept for critique in harvested.critiques)
            num_believed += len(harvested.believed_of("divergent"))
            injections = harvested.findings.of_kind(INJECTION)
            num_scored += sum(each.score is not None for injection in injections for each in injection.detections)
        collect_config = selection.config.collect or CollectConfig()
        # Near duplicates have pairs too, and whether these part where they should is no less of a question.
        every = selection.filters.model_copy(update={"is_near_duplicate_allowed": True})
        for harvested in Selection(store, every):
            _judge(harvested, store, collect_config, samples)
    _check_funnel(
        selection.funnel, num_rows=args.num, num_kept=num_kept, num_believed=num_believed, num_scored=num_scored
    )
    return Findings(selection.funnel, kinds, samples)


def _judge(harvested: SelectedProblem, store: RunStore, config: CollectConfig, samples: Mapping[str, Sample]) -> None:
    board = store.extras(harvested.position)["board"]
    problem = problem_of({"id": harvested.row_id, "question": harvested.problem.question, "board": board})
    for number, pair in enumerate(harvested.pairs):
        kind = pair.kind.replace("_", " ")
        if kind not in samples:
            continue
        verdict = judge(problem, pair)
        samples[kind].add(verdict)
        if pair.kind == "divergent" and support_fault(pair, config.pairs) is None:
            samples[f"{kind}, supported"].add(verdict)
        if number in harvested.believed:
            samples[f"{kind}, believed"].add(verdict)


def judge(problem: PocketProblem, pair: Pair) -> Verdict:
    """Return the oracle's verdict on the first own step of each side."""
    chosen, rejected = (
        problem.check(pair.shared + side.steps[:1]).verdicts[-1].is_right for side in (pair.chosen, pair.rejected)
    )
    return Verdict(is_rejected_wrong=not rejected, is_chosen_right=chosen)


def _check_funnel(funnel: Funnel, *, num_rows: int, num_kept: int, num_believed: int, num_scored: int) -> None:
    """Refuse a funnel in which anything vanished or was counted twice."""
    must_agree = {
        "rows and problems": (funnel.rows.num_in, num_rows),
        "trees and rows kept": (funnel.trees.num_in, funnel.rows.num_kept),
        "divergent pairs and wrong paths kept": (funnel.pairs.num_in, funnel.wrong_paths.num_kept),
        "pairs believed and divergent pairs kept": (num_believed, funnel.pairs.num_kept),
        "errors to annotate and divergent pairs kept": (funnel.errors.num_in, funnel.pairs.num_kept),
        "critiques and critiques kept": (num_kept, funnel.critiques.num_kept),
        "detections with a score and detections kept": (num_scored, funnel.detections.num_kept),
    }
    wrong = {what: counts for what, counts in must_agree.items() if counts[0] != counts[1]}
    negative = [what for stage in funnel.stages() for what, count in stage.lines() if count < 0]
    if wrong or negative:
        raise SystemExit(f"the funnel does not add up: {wrong or negative}")


def lift_lines(lifts: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the lift before any filter and after each as a Markdown table."""
    lines = ["| after filter | critiques | mean lift | 95 % interval |", "|---|---|---|---|"]
    for lift in lifts:
        mean, low, high = ("" if lift[name] is None else f"{lift[name]:+.3f}" for name in ("estimate", "low", "high"))
        lines.append(f"| {lift['after']} | {lift['num_critiques']} | {mean} | {low} to {high} |")
    return lines


def oracle_lines(samples: Mapping[str, Sample]) -> list[str]:
    """Return the oracle's verdicts as a Markdown table."""
    lines = ["| pairs | there are | judged | | share, % | 95 % interval |", "|---|---|---|---|---|---|"]
    for name, sample in samples.items():
        lines += [
            f"| {name} | {sample.num_seen} | {len(sample.verdicts)} | {what} | {100 * found.estimate:.1f}"
            f" | {100 * found.low:.1f} to {100 * found.high:.1f} |"
            for what, found in sample.shares().items()
        ]
    return lines


def report_lines(found: Findings, collect_s: float, exports: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Return all tables."""
    funnel = [f"| {what} | {count} |" for stage in found.funnel.stages() for what, count in stage.lines()]
    pairs = ", ".join(f"{number} {kind}" for kind, number in sorted(found.num_pairs.items()))
    rows = [
        f"| {name} | {each['wall_s']:.1f} | {each['num_rows']} | {each['num_left_out']} |"
        for name, each in exports.items()
    ]
    return [
        f"Collecting took {collect_s:.0f} s. Pairs by kind, near duplicates left out: {pairs}.",
        "",
        *("| funnel | |", "|---|---|", *funnel, ""),
        *lift_lines(found.funnel.fields()["lift"]),
        "",
        *oracle_lines(found.samples),
        "",
        *("| export | wall s | rows | left out |", "|---|---|---|---|", *rows),
    ]


def results(found: Findings, collect_s: float, exports: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Return all figures for the JSON line."""
    oracle = {
        name: {
            "num_pairs": sample.num_seen,
            "num_judged": len(sample.verdicts),
            "shares": {what: [each.estimate, each.low, each.high] for what, each in sample.shares().items()},
        }
        for name, sample in found.samples.items()
    }
    return {
        "collect_wall_s": round(collect_s, 1),
        "num_pairs": dict(found.num_pairs),
        "funnel": found.funnel.fields(),
        "oracle": oracle,
        "exports": dict(exports),
    }


def parse_args() -> argparse.Namespace:
    """Return the options of the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--split", choices=("train", "dev", "test"), default="train", help="of the problems")
    parser.add_argument("--num", type=int, default=1000, help="problems")
    parser.add_argument("--seed", type=int, default=21, help="of the problems, and of which pairs are judged")
    parser.add_argument("--config", default="mmc_collect", help="a preset or the path of a YAML file")
    parser.add_argument("--set", dest="overrides", action="append", default=[], help="section.field=value")
    parser.add_argument("--max-judged", type=int, default=1000, help="pairs of each group that the oracle judges")
    parser.add_argument("--work", type=Path, default=Path("runs/collect_pairs"), help="new folder for all files")
    parser.add_argument("--overwrite", action="store_true", help="remove what is in the folder first")
    parser.add_argument("--pairs-alone", action="store_true", help="write no export, as of a run without critiques")
    parser.add_argument("--report", type=Path, help="write the tables and their command to this Markdown file")
    return parser.parse_args()


def main() -> None:
    """Collect, export, judge, and print tables and the JSON line."""
    args = parse_args()
    if args.overwrite and (args.work / "problems.jsonl").is_file():
        shutil.rmtree(args.work)
    args.work.mkdir(parents=True)
    run = args.work / "run"
    collect_s = collect(args, args.work / "problems.jsonl", run)
    exports = {} if args.pairs_alone else export(run, args.work)
    found = look(run, args)
    lines = report_lines(found, collect_s, exports)
    print("\n".join(lines))
    if args.report is not None:
        write_report(args.report, "What collecting makes of pocket problems", [*NOTES, *lines])
    print_report("collect_pairs", config=vars(args), results=results(found, collect_s, exports))


if __name__ == "__main__":
    main()
