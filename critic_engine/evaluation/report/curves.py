"""Accuracy over cost: as rows, and as a picture."""

import csv
import io
import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING

from critic_engine.evaluation.report.comparison_report import ComparisonReport, MethodReport

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_COLUMNS = (
    "method", "budget", "accuracy", "accuracy_low", "accuracy_high", "num_problems", "num_seeds", "tokens",
    "reasoner_tokens", "critic_tokens", "prompt_tokens", "uncached_prompt_tokens", "critic_prompt_tokens",
    "critic_uncached_prompt_tokens", "compute", "seconds", "num_requests", "flops", "usd",
)  # fmt: skip
# The colours of Okabe and Ito (2008), which are told apart with any colour vision; the pale yellow is left out.
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
_MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", ">")
_MAX_NAME = 40
_PANELS = (("tokens", "generated tokens of one search"), ("compute", "compute of one search"))


def curves_csv(report: ComparisonReport) -> str:
    """Return accuracy and each mean cost, a row a method and budget; a figure that is not known is empty."""
    text = io.StringIO()
    writer = csv.DictWriter(text, _COLUMNS, extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    for method in report.methods:
        costs = {} if method.costs is None else method.costs.model_dump()
        accuracy = {} if method.accuracy is None else method.accuracy.model_dump()
        writer.writerow(
            {
                **costs,
                "method": _printable(method.method),
                "budget": method.budget,
                "accuracy": accuracy.get("estimate"),
                "accuracy_low": accuracy.get("low"),
                "accuracy_high": accuracy.get("high"),
                "num_problems": method.num_problems,
                "num_seeds": method.num_seeds,
            }
        )
    return text.getvalue()


def curves_png(report: ComparisonReport) -> bytes | None:
    """Return the picture of accuracy over tokens and over compute with 95 % intervals; None if there is no accuracy.

    Raises:
        ImportError: matplotlib is not installed.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    curves = _curves(report)
    if not curves:
        return None
    with warnings.catch_warnings():
        # A letter that the font lacks is drawn as a box.
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        figure = Figure(figsize=(11, 4.8), dpi=150, layout="constrained")
        panels = figure.subplots(1, len(_PANELS), sharey=True)
        for panel, (currency, label) in zip(panels, _PANELS, strict=True):
            _draw(panel, curves, currency)
            panel.set_xlabel(f"mean {label}")
        panels[0].set_ylabel("share of right answers, 95 % interval")
        panels[-1].legend(loc="upper left", bbox_to_anchor=(1.01, 1), frameon=False)
        picture = io.BytesIO()
        FigureCanvasAgg(figure)
        figure.savefig(picture, format="png", metadata={"Software": None})
    return picture.getvalue()


def _curves(report: ComparisonReport) -> list[tuple[str, list[MethodReport]]]:
    """Return the runs of each method that have an accuracy, by budget."""
    names = dict.fromkeys(method.method for method in report.methods)
    drawn = [each for each in report.methods if each.accuracy is not None and each.costs is not None]
    curves = [(name, [each for each in drawn if each.method == name]) for name in names]
    return [(name, sorted(runs, key=lambda run: run.budget or 0.0)) for name, runs in curves if runs]


def _draw(panel: "Axes", curves: Sequence[tuple[str, Sequence[MethodReport]]], currency: str) -> None:
    costs: list[float] = []
    for index, (name, runs) in enumerate(curves):
        where = [float(getattr(run.costs, currency)) for run in runs]
        costs += where
        points = [_point(run) for run in runs]
        panel.errorbar(
            where,
            [estimate for estimate, _, _ in points],
            yerr=[[below for _, below, _ in points], [above for _, _, above in points]],
            label=_label(name),
            color=_COLOURS[index % len(_COLOURS)],
            marker=_MARKERS[index % len(_MARKERS)],
            linestyle=("-", "--", ":", "-.")[index // len(_COLOURS) % 4],
            capsize=3,
            markersize=6,
            linewidth=1.5,
        )
    if min(costs) > 0 and max(costs) > 10 * min(costs):
        _set_log_scale(panel)
    panel.grid(alpha=0.3)
    panel.spines[["top", "right"]].set_visible(False)


def _set_log_scale(panel: "Axes") -> None:
    """Set a logarithmic scale with whole numbers at its marks."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    panel.set_xscale("log")
    panel.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    panel.xaxis.set_major_formatter(FuncFormatter(lambda cost, _: f"{cost:,.3g}" if cost < 1 else f"{cost:,.0f}"))
    panel.xaxis.set_minor_formatter(NullFormatter())


def _point(run: MethodReport) -> tuple[float, float, float]:
    """Return the accuracy and the lengths of its error bar below and above."""
    accuracy = run.accuracy
    if accuracy is None or accuracy.estimate is None:
        raise ValueError(f"{run.name} has no accuracy to draw")
    low = accuracy.estimate if accuracy.low is None else accuracy.low
    high = accuracy.estimate if accuracy.high is None else accuracy.high
    return accuracy.estimate, max(0.0, accuracy.estimate - low), max(0.0, high - accuracy.estimate)


def _label(name: str) -> str:
    """Return a name for the legend, in which ``$`` begins no formula and a first ``_`` does not hide it."""
    text = _printable(name)
    text = text if len(text) <= _MAX_NAME else text[: _MAX_NAME - 1] + "…"
    return ("\u200a" if text.startswith("_") else "") + text.replace("$", r"\$")


def _printable(text: str) -> str:
    return "".join(char if char.isprintable() else " " for char in text)
