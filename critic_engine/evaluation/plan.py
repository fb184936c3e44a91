"""The plan of an evaluation: its methods, budgets and seeds, and the run that each combination of them is."""

import hashlib
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import pydantic
import yaml
from pydantic import Field

from critic_engine.config.base import Section
from critic_engine.config.compare import without_hosting_and_limits
from critic_engine.config.engine import EngineConfig, parse_config
from critic_engine.config.models import ModelConfig
from critic_engine.errors import ConfigError, RunError
from critic_engine.evaluation.graded import Currency
from search import BestOfNOptions

PLAN_FILE = "evaluation.yaml"
NUM_SAMPLES = 1000
"""Most samples of a sampling method that has a budget to spend."""


class ProblemsSource(Section):
    """The problems file of an evaluation."""

    path: str
    """Absolute path, or ``hf:NAME``."""
    image_root: str | None = None
    """Folder that image paths are relative to; None is that of the file."""
    limit: int | None = None
    """Rows of the file that are looked at; None is all."""
    digest: str
    """Digest of the problems that are searched."""


class PlannedMethod(Section):
    """A method that is evaluated."""

    name: str
    """The preset or file."""
    config: EngineConfig
    """Its configuration, before a budget and a seed are set."""

    @property
    def is_sampling(self) -> bool:
        """Whether it draws independent samples, more than one."""
        options = self.config.strategy.options
        return isinstance(options, BestOfNOptions) and options.num_samples > 1

    @property
    def takes_budget(self) -> bool:
        """Whether it can spend more or less; chains and single solutions end on their own."""
        return self.is_sampling or self.config.strategy.kind not in ("chain", "best_of_n")


@dataclass(frozen=True, slots=True)
class PlannedRun:
    """One method at one budget with one seed."""

    method: str
    budget: float | None
    """None if the method ends on its own."""
    seed: int
    config: EngineConfig
    """The configuration of the run."""
    changes: tuple[str, ...]
    """Fields that the budget set, besides the budget itself."""
    folder: str
    """Name of its folder."""

    @property
    def needs_reference(self) -> bool:
        """Whether the search is told the reference answers."""
        return self.config.needs_reference

    @property
    def name(self) -> str:
        """Method, budget and seed, for people."""
        budget = "" if self.budget is None else f" @{self.budget:.12g}"
        return f"{self.method}{budget}, seed {self.seed}"


class EvaluationPlan(Section):
    """All that an evaluation does: the contents of ``evaluation.yaml``."""

    problems: ProblemsSource
    methods: Annotated[tuple[PlannedMethod, ...], Field(min_length=1)]
    budgets: tuple[float, ...] = ()
    """Limits on one search, in the unit of ``match``; empty leaves each method its own."""
    seeds: Annotated[tuple[int, ...], Field(min_length=1)]
    match: Currency = "tokens"
    """The unit of the budgets."""
    prompt_weight: Annotated[float, Field(ge=0, le=1000)] = 1.0
    """Weight of an uncached prompt token in ``compute``."""
    grader: str
    margin: Annotated[float, Field(ge=0, lt=1)]
    """A difference of accuracy that does not matter."""
    gates: tuple[str, ...] = ()
    judge: ModelConfig | None = None
    """A model whose opinion on the answers is kept beside the grades; None for none."""

    def runs(self) -> list[PlannedRun]:
        """Return the runs: by method, budget and seed, each in the order given."""
        return [run for method in self.methods for run in self._runs_of(method)]

    def check(self) -> None:
        """Refuse methods that cannot be compared.

        Raises:
            ConfigError: a method is told the reference answers or has a limit on the whole run, two have one name, or
                a budget does not fit.
        """
        names = [method.name for method in self.methods]
        if len(set(names)) < len(names):
            raise ConfigError(f"a method is named twice ({', '.join(names)}); name each once", field="method")
        for method in self.methods:
            if method.config.needs_reference:
                raise ConfigError(
                    f"method {method.name} is told the reference answers, so that its share of right answers is no "
                    "accuracy; leave it out, or see `critic-engine collect`",
                    field="method",
                )
            for field in ("max_tokens", "max_wall_s"):
                if getattr(method.config.run, field) is not None:
                    raise ConfigError(
                        f"method {method.name} sets run.{field}, which cuts a run as a whole; leave it out, and "
                        "limit each search by --budget",
                        field=f"run.{field}",
                    )
        for budget in self.budgets if self.match != "seconds" else ():
            if budget != int(budget):
                raise ConfigError(f"--budget is {budget:g}, and tokens are counted whole; give a whole number")

    def _runs_of(self, method: PlannedMethod) -> Iterator[PlannedRun]:
        for budget in self.budgets if self.budgets and method.takes_budget else (None,):
            for seed in self.seeds:
                config, changes = self._configured(method, budget, seed)
                yield PlannedRun(method.name, budget, seed, config, changes, self._folder(method, budget, seed, config))

    def _configured(
        self, method: PlannedMethod, budget: float | None, seed: int
    ) -> tuple[EngineConfig, tuple[str, ...]]:
        document = method.config.model_dump(mode="json")
        document["run"]["seed"] = seed
        changes: list[str] = []
        if budget is not None:
            document["budget"] |= self._limits(budget)
            if method.is_sampling:
                document["strategy"]["num_samples"] = NUM_SAMPLES
                changes.append(f"strategy.num_samples={NUM_SAMPLES}")
        return parse_config(document, origin=method.name), tuple(changes)

    def _limits(self, budget: float) -> dict[str, float | None]:
        if self.match == "seconds":
            return {"max_wall_s": budget, "max_tokens": None, "prompt_weight": 0.0}
        return {"max_tokens": int(budget), "prompt_weight": self.prompt_weight if self.match == "compute" else 0.0}

    def _folder(self, method: PlannedMethod, budget: float | None, seed: int, config: EngineConfig) -> str:
        key = [self.problems.digest, without_hosting_and_limits(config).model_dump(mode="json")]
        digest = hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()[:10]
        name = re.sub(r"[^A-Za-z0-9._-]+", "-", Path(method.name).stem).strip("-.")[:40] or "method"
        return f"{name}{'' if budget is None else f'@{budget:.12g}'}-s{seed}-{digest}"

    def write(self, folder: Path) -> None:
        """Write the plan into the folder of the evaluation."""
        path, part = folder / PLAN_FILE, folder / f"{PLAN_FILE}.part"
        changes = {run.folder: list(run.changes) for run in self.runs() if run.changes}
        text = yaml.safe_dump(self.model_dump(mode="json"), sort_keys=False)
        noted = "".join(f"# runs/{name}: {', '.join(each)}\n" for name, each in changes.items())
        part.write_text(f"# critic-engine evaluate --resume {folder}\n{noted}{text}", encoding="utf-8")
        part.replace(path)

    @classmethod
    def read(cls, folder: Path) -> "EvaluationPlan":
        """Return the plan in the folder of an evaluation.

        Raises:
            RunError: there is none, or it cannot be read.
        """
        path = folder / PLAN_FILE
        try:
            return cls.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
        except FileNotFoundError as error:
            raise RunError(
                f"{folder} holds no evaluation; start one with `critic-engine evaluate PROBLEMS --out {folder}`"
            ) from error
        except pydantic.ValidationError as error:
            first = error.errors()[0]
            reason = f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
            raise RunError(f"{path} cannot be read: {reason}; correct it, or name a new folder") from error
        except (yaml.YAMLError, UnicodeDecodeError) as error:
            reason = " ".join(str(error).split())[:200]
            raise RunError(f"{path} cannot be read: {reason}; correct it, or name a new folder") from error
