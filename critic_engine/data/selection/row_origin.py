"""Further columns of training rows that describe their origin."""

from typing import TypeAlias

from critic_engine.data.harvest.pairs import Pair
from critic_engine.data.selection.critique_filters import ScreenedCritique

_Columns: TypeAlias = dict[str, int | float | str | None]


def pair_columns(pair: Pair) -> _Columns:
    """Return the columns of a preference between paths."""
    return {
        "depth": pair.depth,
        "chosen_rollouts": pair.chosen.num_rollouts,
        "rejected_rollouts": pair.rejected.num_rollouts,
        "chosen_tokens": pair.chosen.num_tokens,
        "rejected_tokens": pair.rejected.num_tokens,
        "num_paths": pair.num_paths,
    }


def critique_columns(depth: int | None, judged: ScreenedCritique | None) -> _Columns:
    """Return the columns of a critique; all None without one, as for a right path."""
    found = None if judged is None else judged.lift
    refined = None if judged is None else judged.record.refined
    return {
        "depth": depth,
        "first_wrong_step": None if judged is None else judged.record.annotation.first_wrong_step,
        "lift": None if found is None else round(found.estimate, 6),
        "lift_low": None if found is None else round(found.low, 6),
        "lift_high": None if found is None else round(found.high, 6),
        "num_right": None if refined is None else refined.num_right,
        "num_refined": None if refined is None else refined.num_known,
    }


def preference_columns(
    depth: int | None, chosen: ScreenedCritique | None, rejected: ScreenedCritique | None
) -> _Columns:
    """Return the columns of a preference between critiques; None where no lift was measured, as for injected errors."""
    lifts = [None if each is None or each.lift is None else round(each.lift.estimate, 6) for each in (chosen, rejected)]
    names = [None if each is None else each.record.annotator for each in (chosen, rejected)]
    return {
        "depth": depth,
        "chosen_lift": lifts[0],
        "rejected_lift": lifts[1],
        "chosen_annotator": names[0],
        "rejected_annotator": names[1],
    }
