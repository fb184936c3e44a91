"""The files of a measured card."""

from pathlib import Path

from critic_engine.config.critic_card import CriticCard
from critic_engine.evaluation.critic_card.card_report import report_markdown
from critic_engine.evaluation.critic_card.reliability_plot import draw_reliability

CARD = "critic_card.json"
REPORT = "report.md"
PLOT = "reliability.png"


def write_card(card: CriticCard, folder: Path) -> tuple[str, ...]:
    """Write ``critic_card.json``, ``report.md`` and ``reliability.png``; return one line about each that is missing."""
    missing: tuple[str, ...] = ()
    has_plot = False
    try:
        has_plot = draw_reliability(card, folder / PLOT)
    except ImportError:
        missing = (f"{PLOT} is left out, for matplotlib is not installed; install critic-engine[plots]",)
    _replace(folder / REPORT, report_markdown(card, has_plot=has_plot))
    _replace(folder / CARD, card.model_dump_json(indent=2) + "\n")
    return missing


def _replace(path: Path, text: str) -> None:
    part = path.with_name(f"{path.name}.part")
    part.write_text(text, encoding="utf-8")
    part.replace(path)
