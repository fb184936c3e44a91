"""The regimes of the worlds: how a reasoner writes, how a critic judges, and how long the problems are."""

from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

LogProbabilities: TypeAlias = Literal["known", "withheld", "misleading"]
CriticShape: TypeAlias = Literal["plain", "constant", "inverted"]


@dataclass(frozen=True, slots=True)
class Regime:
    """The settings of one simulated reasoner, its critic and its problems."""

    name: str
    note: str = ""
    """What it stands for, in a few words."""
    depth: tuple[int, int] = (12, 12)
    """Least and most steps that a problem needs."""
    p_right: float = 0.92
    """Probability that a claim at an easy place is right."""
    share_hard: float = 0.0
    """Share of places that are hard."""
    p_hard: float = 0.4
    """Probability that a claim at a hard place is right."""
    repeated: float = 0.3
    """Probability that a wrong claim is the common one of its place; else it is one of ``NUM_RARE`` rare ones."""
    wordings: int | None = None
    """Equally likely wordings of a claim; None words no claim twice."""
    num_wrong_answers: int | None = None
    """Wrong answers that there are; None gives each set of wrong claims an answer of its own."""
    lucky: float = 0.01
    """Share of wrong sets of claims that end in the right answer."""
    step_tokens: int = 30
    """Mean tokens of a step."""
    spread: float = 0.4
    """Half of the range of a step's tokens, as a share of the mean; they are uniform."""
    wrong_tokens: float = 1.0
    """Tokens of a wrong step beside those of a right one."""
    filler: float = 0.0
    """Probability that a step claims nothing, and the problem needs one step more."""
    log_probabilities: LogProbabilities = "known"
    """``misleading`` gives the right claim of a place the probability of the common wrong one, and the reverse."""
    prior_exponent: float = 1.0
    """Log-probabilities are those of the claims' probabilities to this power, made to sum to 1: below 1 where they are
    read at a higher temperature than steps are drawn at."""
    nats_a_token: float = 0.9
    """Negative log-probability of each token of a wording, where no claim is worded twice."""
    auroc: float = 0.85
    """The critic's AUROC for beginnings with and without a wrong claim, before any bias."""
    critic: CriticShape = "plain"
    """``constant`` says the same of every text; ``inverted`` ranks as badly as the AUROC is good."""
    range: tuple[float, float] = (0.0, 1.0)
    """Lowest and highest value that the critic gives; all between keep their order."""
    slope: float = 2.0
    """Logits of the critic's value for each standard deviation of its noise."""
    shared_noise: float = 0.5
    """Share of the critic's noise that all wordings of the same claims have in common."""
    along_path: float = 0.8
    """Correlation of the critic's noise at a step with that at the step before."""
    length_bias: float = 0.0
    """Logits that the critic adds for each step's tokens by which a text is longer than usual at its place."""
    unfinished_bias: float = 0.0
    """Logits that the critic adds to what is not finished."""
    critic_tokens: int = 10
    """Tokens of one critique."""
    question_tokens: int = 100
    """Tokens of the prompt that every request reads before the steps so far."""
    repair: float = 0.4
    """Probability that a rewrite repairs a wrong step that the critique points at."""
    heed: float = 0.0
    """Probability that a reasoner shown a rejected sibling draws anew when it would claim the same again."""
    lost: float = 0.0
    """Share of the reasoner's texts that cannot be read."""
    unreadable: float = 0.0
    """Share of critiques that cannot be read."""

    @property
    def solution_tokens(self) -> int:
        """Mean tokens of one whole solution, the unit of the budgets."""
        wrong = 1 + self.share_wrong * (self.wrong_tokens - 1)
        return round(sum(self.depth) / 2 / (1 - self.filler) * self.step_tokens * wrong)

    @property
    def share_wrong(self) -> float:
        """Mean probability that a claim is wrong."""
        return 1 - (1 - self.share_hard) * self.p_right - self.share_hard * self.p_hard


_TWELVE = Regime("", p_right=0.96, share_hard=0.2, p_hard=0.5, repeated=0.9, auroc=0.9, critic_tokens=3)
_WORDED_ONCE = replace(_TWELVE, wordings=1)
_ERRORS_AGREE = replace(_WORDED_ONCE, p_right=0.97, p_hard=0.55, num_wrong_answers=2, lucky=0.0)
_CLEAN = Regime(
    "", depth=(6, 6), p_right=0.9, share_hard=0.2, p_hard=0.5, nats_a_token=0.25, spread=0.0, critic_tokens=5,
    range=(0.85, 0.95), auroc=0.8,
)  # fmt: skip
_LONG = Regime("", depth=(20, 30), p_right=0.985, share_hard=0.1, p_hard=0.5, repeated=0.5, critic_tokens=10)
_SHORT = Regime("", depth=(3, 5), p_right=0.8, share_hard=0.3, p_hard=0.4, repeated=0.5)
_MIDDLE = Regime("", depth=(6, 12), p_right=0.95, share_hard=0.2, p_hard=0.45, repeated=0.6)

REGIMES: tuple[Regime, ...] = (
    # A strong critic and 12 steps.
    replace(_TWELVE, name="12 steps, worded anew", note="a strong critic, no step is worded twice"),
    replace(_WORDED_ONCE, name="12 steps, one wording", note="a strong critic, steps repeat"),
    replace(_WORDED_ONCE, name="12 steps, one wording, weak critic", auroc=0.6),
    replace(_TWELVE, name="12 steps, worded anew, weak critic", auroc=0.6),
    replace(_ERRORS_AGREE, name="12 steps, one wording, errors agree"),
    replace(_ERRORS_AGREE, name="12 steps, one wording, errors agree, weak critic", auroc=0.6),
    replace(_ERRORS_AGREE, name="12 steps, worded anew, errors agree", wordings=None),
    replace(_WORDED_ONCE, name="12 steps, one wording, withheld", log_probabilities="withheld"),
    # Few steps of one length, and a critic that says much the same of all.
    replace(_CLEAN, name="clean 6 steps, values in a tenth", note="30 tokens a step at -0.25 nats a token"),
    replace(_CLEAN, name="clean 6 steps, values in a tenth, withheld", log_probabilities="withheld"),
    # The length of problems.
    replace(_SHORT, name="short, worded anew"),
    replace(_SHORT, name="short, 3 wordings", wordings=3),
    replace(_LONG, name="long, worded anew"),
    replace(_LONG, name="long, withheld", log_probabilities="withheld"),
    replace(_LONG, name="long, 3 wordings", wordings=3),
    replace(_MIDDLE, name="middle, worded anew"),
    # What log-probabilities say.
    replace(_MIDDLE, name="middle, withheld", log_probabilities="withheld"),
    replace(_MIDDLE, name="middle, one wording", wordings=1),
    replace(
        _MIDDLE, name="middle, one wording, flat", wordings=1, prior_exponent=0.5, note="read at twice the temperature"
    ),
    replace(
        _MIDDLE, name="middle, one wording, sharp", wordings=1, prior_exponent=2.0, note="read at half the temperature"
    ),
    replace(_MIDDLE, name="middle, one wording, misleading", wordings=1, log_probabilities="misleading"),
    replace(_MIDDLE, name="middle, worded anew, misleading", log_probabilities="misleading"),
    replace(_MIDDLE, name="middle, 8 wordings, long wrong steps", wordings=8, wrong_tokens=1.5),
    # The critic.
    replace(_MIDDLE, name="middle, AUROC 0.95", auroc=0.95),
    replace(_MIDDLE, name="middle, AUROC 0.7", auroc=0.7),
    replace(_MIDDLE, name="middle, AUROC 0.5", auroc=0.5, note="noise"),
    replace(_MIDDLE, name="middle, constant critic", critic="constant"),
    replace(_MIDDLE, name="middle, inverted critic", critic="inverted", auroc=0.8),
    replace(_MIDDLE, name="middle, values near 1", range=(0.95, 1.0)),
    replace(_MIDDLE, name="middle, critic likes length", length_bias=1.0),
    replace(_MIDDLE, name="middle, critic likes beginnings", unfinished_bias=2.0),
    replace(_MIDDLE, name="middle, critic errs along a path", along_path=0.95, shared_noise=0.9),
    replace(_MIDDLE, name="middle, dear critic", critic_tokens=60, note="a critique is twice as long as a step"),
    replace(_MIDDLE, name="middle, dearer critic", critic_tokens=150, note="a critique is as long as five steps"),
    replace(_MIDDLE, name="middle, unreadable", lost=0.1, unreadable=0.2, note="texts and critiques that are lost"),
    # The reasoner.
    replace(_MIDDLE, name="easy", p_right=0.985, p_hard=0.7),
    replace(_MIDDLE, name="hard", p_right=0.9, p_hard=0.25, repeated=0.4),
    replace(_MIDDLE, name="errors never repeat", repeated=0.0),
    replace(_MIDDLE, name="errors repeat", p_hard=0.35, repeated=0.95),
    replace(_MIDDLE, name="four choices", num_wrong_answers=3, lucky=0.25, repeated=0.3),
    replace(_MIDDLE, name="steps without a claim", filler=0.3, spread=0.8),
    replace(_MIDDLE, name="rewrites do not help", repair=0.0),
    replace(_MIDDLE, name="critiques are heeded", heed=0.7, repair=0.9, wordings=8),
)
"""All regimes of the grid."""
