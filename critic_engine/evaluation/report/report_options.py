"""Options of a comparison's report."""

from dataclasses import dataclass

from critic_engine.evaluation.graded import Currency


@dataclass(frozen=True, slots=True)
class ReportOptions:
    """How a report is made of the graded answers."""

    currency: Currency
    """The unit of the budgets."""
    prompt_weight: float
    """Weight of one uncached prompt token in ``compute``; a generated token weighs 1."""
    concurrency: int
    """Most requests in flight at once while the seconds were measured."""
    problems: str
    """Name of the problems file, as a title."""
    reasoner: str = ""
    """The reasoner's model as the config names it, or the models if the runs differ in it; empty if it is unknown."""
    critic: str = ""
    """The model of the critic or the reward model, likewise; empty if there is none or it is unknown."""
    grader: str = ""
    """Name of the grader; empty if unknown."""
    margin: float = 0.02
    """A difference of accuracy that does not matter, at least 0."""
    level: float = 0.05
    """Highest adjusted p-value of a verdict, in (0, 1)."""
    seed: int = 0
    """Seed of the resampling; the same answers and seed give the same report."""
    num_rows_without_reference: int = 0
    """Rows that were not graded, for they have no reference answer that can be used."""
    pass_ks: tuple[int, ...] = (1, 2, 4, 8, 16, 32, 64)
    """The k of pass@k and maj@k; a k above a method's number of samples is left out."""

    def __post_init__(self) -> None:
        """Refuse options out of range."""
        if not self.prompt_weight >= 0:
            raise ValueError(f"prompt_weight is {self.prompt_weight}; it must be 0 or more")
        if not self.margin >= 0:
            raise ValueError(f"margin is {self.margin}; it must be 0 or more")
        if not 0 < self.level < 1:
            raise ValueError(f"level is {self.level}; it must lie in (0, 1)")
        if any(k < 1 for k in self.pass_ks):
            raise ValueError(f"pass_ks is {self.pass_ks}; each k must be at least 1")
