"""The reliability diagram of a card: share right over mean value, a bin a point."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from critic_engine.config.critic_card import CardOutcome, CriticCard

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_INCHES = 4.2
_DOTS_PER_INCH = 150


def draw_reliability(card: CriticCard, path: Path) -> bool:
    """Draw the diagram of each outcome into a PNG file; return whether there was anything to draw.

    Raises:
        ImportError: matplotlib is not installed.
    """
    from matplotlib.figure import Figure

    outcomes = [("the answer is right", card.answer), ("every step is right", card.steps)]
    drawn = [(title, outcome) for title, outcome in outcomes if outcome is not None and outcome.bins]
    if not drawn:
        return False
    figure = Figure(figsize=(_INCHES * len(drawn), _INCHES + 0.4), layout="constrained")
    for number, (title, outcome) in enumerate(drawn, 1):
        _draw(figure.add_subplot(1, len(drawn), number), title, outcome)
    figure.savefig(path, format="png", dpi=_DOTS_PER_INCH, metadata={"Software": ""})
    return True


def _draw(axes: Axes, title: str, outcome: CardOutcome) -> None:
    axes.plot([0, 1], [0, 1], color="0.7", linewidth=1, label="calibrated")
    shares = [(bin_.mean_value, bin_.share_right) for bin_ in outcome.bins]
    points = [
        # Wilson's interval of a share of 1 ends a rounding error below it.
        (mean_value, share.estimate, max(0.0, share.estimate - share.low), max(0.0, share.high - share.estimate))
        for mean_value, share in shares
        if share.estimate is not None and share.low is not None and share.high is not None
    ]
    if points:
        values, right, below, above = zip(*points, strict=True)
        axes.errorbar(values, right, yerr=[below, above], color="tab:blue", fmt="o", capsize=2, clip_on=False)
    error = outcome.calibration_error.estimate
    label = "" if error is None else f"\nexpected calibration error {error:.3f}"
    axes.set(title=f"{title}{label}", xlabel="mean value of the bin", ylabel="share right, 95 % interval")
    axes.set(xlim=(0, 1), ylim=(0, 1), aspect="equal")
    axes.legend(loc="upper left", frameon=False)
