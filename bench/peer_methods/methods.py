"""The methods that are compared: each package's algorithms with their settings, and our presets."""

import importlib.util
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from bench.peer_methods import own
from bench.peer_methods.sessions import Session
from critic_engine.config.engine import EngineConfig, load_config

Package: TypeAlias = Literal["ours", "treequest", "its_hub"]
Search: TypeAlias = Callable[[Session], Awaitable[str | None]]
"""Spends a session's budget, keeps the solutions found, and returns the answer by the method's own rule."""


@dataclass(frozen=True)
class Method:
    """One row of the table."""

    package: Package
    search: Search
    preset: str = "mcts"
    """The preset whose configuration the session has; of a peer, only its models, prompts and form of steps count."""
    changes: tuple[str, ...] = ()
    """Overrides of the preset."""
    is_valued: bool = True
    """Whether it asks the critic; if not, it has no values to vote with."""


def ours(preset: str, *changes: str, is_valued: bool = True) -> Method:
    """Return a preset of ours."""
    return Method("ours", own.search, preset, changes, is_valued)


def tree(algorithm: Literal["standard_mcts", "ab_mcts_a"], *, is_by_steps: bool = False, **options: Any) -> Method:
    """Return a search of ``treequest``; an option may be given by budget."""

    async def search(session: Session) -> str | None:
        from bench.peer_methods import tree_search

        made = getattr(tree_search, algorithm)(
            **{name: _at_budget(option, session.budget) for name, option in options.items()}
        )
        return await (tree_search.search_steps if is_by_steps else tree_search.search_solutions)(session, made)

    return Method("treequest", search)


def sampling(algorithm: Literal["best_of_n", "self_consistency"]) -> Method:
    """Return an algorithm of ``its_hub`` that draws whole solutions."""

    async def search(session: Session) -> str | None:
        from bench.peer_methods import hub

        answer: str | None = await getattr(hub, algorithm)(session)
        return answer

    return Method("its_hub", search, is_valued=algorithm == "best_of_n")


def paths(
    num_paths: int | Mapping[int, int],
    *,
    beam_width: int | Mapping[int, int] | None = None,
    temperature: float | None = None,
) -> Method:
    """Return beam search or particle filtering of ``its_hub``.

    Args:
        num_paths: The paths at once; or by budget.
        beam_width: The paths kept after each step, or by budget; None is particle filtering.
        temperature: Of the steps; None is the reasoner's.
    """

    async def search(session: Session) -> str | None:
        from bench.peer_methods import hub

        num, width = _at_budget(num_paths, session.budget), _at_budget(beam_width, session.budget)
        return await hub.search_paths(session, num_paths=num, beam_width=width, temperature=temperature)

    return Method("its_hub", search)


def _at_budget(option: Any, budget: int) -> Any:
    """Return an option; of one by budget, that of the largest budget which is not above ``budget``."""
    if not isinstance(option, Mapping):
        return option
    return option[max((each for each in option if each <= budget), default=min(option))]


def with_budget(method: Method, *, budget: int, seed: int, overrides: Iterable[str]) -> EngineConfig:
    """Return the configuration of a method's session.

    Raises:
        ConfigError: an override does not fit it.
    """
    changes = (*method.changes, *overrides, f"budget.max_tokens={budget}", f"run.seed={seed}")
    return load_config(method.preset, changes)


SAMPLE_ON = "strategy.num_samples=1000"
"""Override that lets a preset sample until its budget is spent."""

METHODS: dict[str, Method] = {
    "mcts": ours("mcts"),
    "best_of_n": ours("best_of_n", SAMPLE_ON),
    "majority": ours("majority", SAMPLE_ON, is_valued=False),
    "weighted_majority": ours("weighted_majority", SAMPLE_ON),
    "mctsr": ours("mctsr"),
    "ab_mcts": ours("ab_mcts"),
    "treequest StandardMCTS": tree("standard_mcts", samples_per_action={0: 4, 400: 2}),
    "treequest ABMCTSA": tree("ab_mcts_a", dist_type={0: "beta", 200: "gaussian", 400: "beta"}),
    "its_hub BestOfN": sampling("best_of_n"),
    "its_hub SelfConsistency": sampling("self_consistency"),
    "its_hub BeamSearch": paths({0: 4, 200: 2}, beam_width={0: 2, 200: 1}),
    "its_hub ParticleFiltering": paths({0: 1, 200: 2, 400: 4}),
}
"""The methods of the table, by name. The settings of the peers are the best of ``VARIANTS`` on development problems."""

VARIANTS: dict[str, Method] = {
    "treequest StandardMCTS, 2 samples": tree("standard_mcts"),
    "treequest StandardMCTS, 4 samples": tree("standard_mcts", samples_per_action=4),
    "treequest StandardMCTS, 4 samples, exploration 0.5": tree(
        "standard_mcts", samples_per_action=4, exploration_weight=0.5
    ),
    "treequest StandardMCTS, 2 samples, exploration 0.5": tree("standard_mcts", exploration_weight=0.5),
    "treequest StandardMCTS, steps": tree("standard_mcts", is_by_steps=True),
    "treequest ABMCTSA, gaussian": tree("ab_mcts_a"),
    "treequest ABMCTSA, beta": tree("ab_mcts_a", dist_type="beta"),
    "treequest ABMCTSA, steps": tree("ab_mcts_a", is_by_steps=True),
    "its_hub BeamSearch, 2 of 4": paths(4, beam_width=2),
    "its_hub BeamSearch, 1 of 4": paths(4, beam_width=1),
    "its_hub BeamSearch, 1 of 2": paths(2, beam_width=1),
    "its_hub ParticleFiltering, 1": paths(1),
    "its_hub ParticleFiltering, 2": paths(2),
    "its_hub ParticleFiltering, 4": paths(4),
    "its_hub ParticleFiltering, 8": paths(8),
    "its_hub ParticleFiltering, 4, temperature 1": paths(4, temperature=1.0),
}
"""Other settings of the peers, which were tried on development problems."""


ALL_METHODS = METHODS | VARIANTS
"""Every method that can be named."""


def check_installed(names: Iterable[str], task: str) -> None:
    """End the program if a package of these methods or of the task is missing.

    Raises:
        SystemExit: one is.
    """
    used: set[str] = {"reasoning_gym"} if task == "reasoning-gym" else set()
    used |= {ALL_METHODS[name].package for name in names} - {"ours"}
    for package in sorted(used):
        if importlib.util.find_spec(package) is None:
            raise SystemExit(f"{package} is not installed; run `pip install {package}`, or leave out what needs it")
