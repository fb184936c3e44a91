"""A plan of one search: the purchases of its budget, by the mean costs of a few draws of its models."""

from dataclasses import dataclass
from typing import Literal

from critic_engine.types import TokenUsage

MIN_SOLUTIONS = 3
"""A budget of fewer whole solutions than these leaves a search too little to choose from."""


@dataclass(frozen=True, slots=True)
class DrawCost:
    """The mean cost of one draw, texts that could not be read included."""

    num: int
    """Draws that the means are of; at least 1."""
    generated_tokens: float
    prompt_tokens: float
    cached_tokens: float
    """Part of ``prompt_tokens`` that a cache held, as far as the backend reports it."""
    budget_tokens: float
    """What a draw takes from ``budget.max_tokens``: prompts count where ``budget.prompt_weight`` says so."""

    @classmethod
    def mean(cls, usage: TokenUsage, num: int, *, budget_tokens: int) -> "DrawCost | None":
        """Return the mean of ``num`` draws that together took ``usage``; None without any draw."""
        if not num:
            return None
        sums = (usage.generated_tokens, usage.prompt_tokens, usage.cached_tokens, budget_tokens)
        generated, prompt, cached, of_budget = (each / num for each in sums)
        return cls(num, generated, prompt, cached, of_budget)


@dataclass(frozen=True, slots=True)
class Wordings:
    """How freely the reasoner words what a search draws: steps, or whole solutions."""

    has_logprobs: bool
    """Whether the backend gives log-probabilities; without them no draw has a prior."""
    nats_per_draw: float | None
    """Mean of minus the log-probability of a draw, at temperature 1; None without log-probabilities, or if one
    underflows."""
    nats_per_token: float | None
    """The same by token; None also where the model thinks, for a draw's probability leaves its thought out."""
    repeated_share: float | None
    """Among the draws at one place after the first one, the share with the words of an earlier one, in [0, 1]."""


@dataclass(frozen=True, slots=True)
class SearchPlan:
    """Mean costs of a method's draws, and what its budget buys at them."""

    kind: Literal["step", "solution"]
    """What the method draws, by ``expander.kind``."""
    num_problems: int
    solution: DrawCost | None
    """Of one whole solution, written in one piece; None if none was drawn."""
    num_unfinished: int
    """Whole solutions drawn that have no answer."""
    steps_per_solution: float | None
    draw: DrawCost | None
    """Of one step, or whole solution, as the search draws it; None if all failed."""
    wordings: Wordings
    evaluation: DrawCost | None
    """Of one evaluation; None if nothing is evaluated, or all failed."""
    num_unvalued: int
    """Evaluations that gave no value."""
    max_tokens: int | None
    """The limit on tokens of one search, in tokens; None if there is none, or its solutions could not be measured."""
    max_simulations: int | None
    num_proposals: int
    """Draws of the first simulation."""
    is_redrawing: bool = False
    """Whether a path may draw a step again, so that it takes more draws than it has steps."""
    failures: tuple[str, ...] = ()
    """Why draws and evaluations failed or could not be read, one line each."""

    @property
    def num_solutions(self) -> float | None:
        """Whole solutions that the tokens pay for, without evaluations; None without a limit or a cost."""
        return _quotient(self.max_tokens, None if self.solution is None else self.solution.budget_tokens)

    @property
    def expansion_tokens(self) -> float | None:
        """Tokens that one draw and its evaluation take from the budget."""
        if self.draw is None:
            return None
        return self.draw.budget_tokens + (0.0 if self.evaluation is None else self.evaluation.budget_tokens)

    @property
    def num_simulations(self) -> float | None:
        """Simulations that the budget pays for; None without a limit.

        Each draws and evaluates as much as the first one; one whose draws repeat costs less.
        """
        by_tokens = _quotient(self.max_tokens, self.expansion_tokens)
        limits = [
            *([] if by_tokens is None else [by_tokens / self.num_proposals]),
            *([] if self.max_simulations is None else [float(self.max_simulations)]),
        ]
        return min(limits, default=None)

    @property
    def num_expansions(self) -> float | None:
        """Draws with their evaluations in as many simulations; None without a limit."""
        return None if self.num_simulations is None else self.num_simulations * self.num_proposals

    @property
    def num_paths(self) -> float | None:
        """Finished paths in as many expansions, if no two shared a step and none was drawn again; None if unknown."""
        return (
            self.num_expansions if self.kind == "solution" else _quotient(self.num_expansions, self.steps_per_solution)
        )

    @property
    def warnings(self) -> tuple[str, ...]:
        """Things that are amiss, each with the remedy."""
        found = []
        if self.solution is None:
            found.append("no whole solution could be drawn; see the failures")
        elif self.num_unfinished:
            found.append(
                f"{self.num_unfinished} of {self.solution.num} whole solutions have no answer; raise "
                "reasoner.max_tokens if they were cut, or see that reasoner.prompts ask for a last line 'answer: X'"
            )
        if self.num_solutions is not None and self.num_solutions < MIN_SOLUTIONS:
            found.append(
                f"budget.max_tokens pays for fewer than {MIN_SOLUTIONS} whole solutions, and a search has too little "
                f"to choose from; raise it {self._enough}"
            )
        elif self.num_paths is not None and self.num_paths < MIN_SOLUTIONS:
            found.append(
                f"with its evaluations the budget finishes fewer than {MIN_SOLUTIONS} paths; raise it, or take a "
                "method that evaluates whole solutions, such as best_of_n"
            )
        if not self.wordings.has_logprobs and self.draw is not None:
            found.append("the reasoner gives no log-probabilities, so no step has a prior")
        if self.evaluation is not None and self.num_unvalued == self.evaluation.num:
            found.append("no evaluation gave a value; raise critic.max_tokens if they were cut, or name another critic")
        return tuple(found)

    @property
    def _enough(self) -> str:
        solution = self.solution
        least = f"at least to {round(MIN_SOLUTIONS * (0.0 if solution is None else solution.budget_tokens)) + 1:,}"
        # A multiple of a solution is refused where prompts count.
        has_prompts = solution is not None and solution.budget_tokens != solution.generated_tokens
        return least if has_prompts else f"to '16 solutions', or {least}"


def _quotient(limit: float | None, cost: float | None) -> float | None:
    return None if limit is None or not cost else limit / cost
