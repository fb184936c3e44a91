"""The parsed command line of ``critic-engine evaluate``."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import click

from critic_engine.cli.engine_options import EngineRequest

# Fields that a budget sets.
_OF_BUDGETS = {"budget", "budget.max_tokens", "budget.max_wall_s", "budget.prompt_weight"}


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluateRequest(EngineRequest):
    """The parsed command line."""

    config: tuple[str, ...] = ()
    problems: Path | None
    methods: tuple[str, ...]
    budgets: tuple[float, ...]
    seeds: int | None
    match: Literal["tokens", "compute", "seconds"] | None
    prompt_weight: float | None
    grader: str | None
    judge: str | None
    gates: tuple[str, ...]
    margin: float | None
    out: Path | None
    resume: Path | None
    score: Path | None
    compare: tuple[Path, Path] | None
    is_common: bool
    limit: int | None
    image_root: Path | None
    schema: str | None
    maps: tuple[str, ...]
    is_json: bool

    def check(self) -> None:
        """Refuse contradictory options."""
        modes = {"--resume": self.resume, "--score": self.score, "--compare": self.compare}
        given = [name for name, value in modes.items() if value]
        if len(given) > 1:
            raise click.UsageError(f"{given[0]} and {given[1]} are two commands; give one of them.")
        mode = given[0] if given else "an evaluation"
        for name, value in self._unused(mode).items():
            if value not in (None, (), False):
                raise click.UsageError(f"{name} does not go with {mode}; leave it out.")
        amounts = {"--budget": self.budgets, "--margin": (self.margin,), "--prompt-weight": (self.prompt_weight,)}
        for name, values in amounts.items():
            for value in values:
                if value is not None and not math.isfinite(value):
                    raise click.UsageError(f"{name} is {value:g}; it must be a finite number.")
        fields = {setting.partition("=")[0].strip() for setting in self.settings}
        if self.budgets and (overridden := fields & _OF_BUDGETS):
            raise click.UsageError(f"--set {min(overridden)} would be replaced by --budget; give one of them.")
        if not given and self.problems is None:
            raise click.UsageError("Name a problems file, or see --resume.")
        if not given and self.out is None:
            raise click.UsageError("Name a folder for the evaluation by --out.")

    def _unused(self, mode: str) -> dict[str, object]:
        """Return the options that have no meaning beside ``mode``."""
        if mode == "an evaluation":
            return {"--common": self.is_common}
        searches: dict[str, object] = {
            "--method": self.methods,
            "--budget": self.budgets,
            "--seeds": self.seeds,
            "--match": self.match,
            "--judge": self.judge,
            "--set": self.settings,
            "--reasoner": self.reasoner,
            "--critic": self.critic,
            "--reward-model": self.reward_model,
            "--seed": self.seed,
        }
        files: dict[str, object] = {"--limit": self.limit, "--image-root": self.image_root, "--schema": self.schema}
        if mode == "--resume":
            planned = {"PROBLEMS": self.problems, "--out": self.out, "--common": self.is_common, "--map": self.maps}
            others = {"--grader": self.grader, "--margin": self.margin, "--prompt-weight": self.prompt_weight}
            return {**searches, **files, **planned, **others}
        placed = ("device", "dtype", "backend", "ray", "search_workers", "base_url")
        placement = {f"--{name.replace('_', '-')}": getattr(self, name) for name in placed}
        common = {"--common": self.is_common} if mode == "--score" else {}
        return {**searches, **placement, **common}
