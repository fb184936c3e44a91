"""A card in words: a few lines for the terminal, and a report in Markdown."""

from collections.abc import Iterator, Sequence

from critic_engine.config.critic_card import CardModel, CardOutcome, CriticCard, Measured

_FEW_PROBLEMS = 20
_CHANCE = 0.5
_SMALL_ERROR = 0.05
_KINDS = {
    "again": "again, with another seed",
    "greedy": "twice at temperature 0",
    "spaces": "reworded: spaces between words doubled",
    "numbers": 'reworded: "Step K:" before each step, or without it',
    "ending": "reworded: another ending of the last step",
}


def summary_lines(card: CriticCard) -> Iterator[str]:
    """Yield what the card says in a few lines."""
    yield f"{_role(card)} {card.critic.name} on {card.num_solutions:,} solutions of {card.num_problems:,} problems"
    yield f"AUROC, the answer is right: {interval(card.answer_auroc)}{_against_chance(card.answer_auroc, card.answer)}"
    if card.steps_auroc is not None:
        yield f"AUROC, every step is right: {interval(card.steps_auroc)}{_against_chance(card.steps_auroc, card.steps)}"
    for name, outcome in _outcomes(card):
        yield from _calibration_lines(name, outcome)
    if card.answer is not None:
        yield (
            f'says "right" of wrong answers: {interval(card.answer.yes_if_wrong)}; of right ones: '
            f"{interval(card.answer.yes_if_right)}"
        )
    yield from (
        f"verdict flips, {_KINDS.get(each.kind, each.kind)}: {interval(each.flip_share)} of {each.num}"
        for each in card.flips
        if each.num
    )
    if card.first_wrong_step is not None:
        yield f"first wrong step named: {interval(card.first_wrong_step.exact)} of {card.first_wrong_step.num}"
    if card.lift is not None:
        yield f"lift of its words: {interval(card.lift.lift)} of {card.lift.num} solutions"
    if card.rollouts is not None:
        correlation = interval(card.rollouts.rank_correlation)
        yield f"rank correlation with rollouts: {correlation} at {card.rollouts.num} intermediate steps"
    yield from caveats(card)


def caveats(card: CriticCard) -> Iterator[str]:
    """Yield what the card cannot say, and what was left out of it."""
    if card.num_problems < _FEW_PROBLEMS:
        yield (
            f"note: {card.num_problems} problems are too few to tell a good critic from a bad one, and for a scaling; "
            f"give at least {_FEW_PROBLEMS}"
        )
    for name, outcome in _outcomes(card):
        scaling = outcome.scaling
        if scaling is not None and all(map(_is_large, (scaling.error_after, scaling.beta.error_after))):
            yield f"note: no scaling makes the value the probability that {name}; trust its order alone"
    if card.is_of_search:
        yield "note: the solutions are paths of a search, not independent samples of the reasoner"
    if card.unreadable_share.estimate:
        yield f"note: {interval(card.unreadable_share)} of the judgements could not be read; no figure counts them"
    if card.num_failed:
        yield f"note: the model failed to judge {card.num_failed:,} solutions; no figure counts them"
    if card.num_without_value:
        yield f"note: {card.num_without_value:,} readable judgements have no value"
    for fault, number in sorted(card.left_out.items()):
        yield f"note: left out, {fault.replace('_', ' ')}: {number:,}"


def _is_large(error: Measured) -> bool:
    return error.low is not None and error.low > _SMALL_ERROR


def report_markdown(card: CriticCard, *, has_plot: bool) -> str:
    """Return the whole card as Markdown."""
    parts = [
        *_head(card),
        *caveats(card),
        "## Does the value tell right from wrong?",
        _table(("", "AUROC", "mean value if right", "mean value if wrong"), list(_separation(card))),
        "## Is the value a probability?",
        _table(
            ("", "share right", "calibration error"),
            [
                (name, interval(outcome.base_rate), interval(outcome.calibration_error))
                for name, outcome in _outcomes(card)
            ],
        ),
        *_scalings(card),
        *(_bins(name, outcome) for name, outcome in _outcomes(card)),
        *(["![reliability](reliability.png)"] if has_plot else []),
        "## Does it say yes too often?",
        _table(
            ("", 'says "right"', "are right", 'says "right" if wrong', 'says "right" if right'),
            [_yes_row(name, outcome) for name, outcome in _outcomes(card)],
        ),
        f"Unreadable: {interval(card.unreadable_share)}.",
        *_checks(card),
        "## Cost",
        f"The {_role(card)} read {card.critic_prompt_tokens:,} tokens and generated {card.critic_tokens:,}; the "
        f"reasoner generated {card.reasoner_tokens:,} for rewrites and rollouts. Measured by critic-engine "
        f"{card.version}.",
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def interval(measured: Measured, *, digits: int = 3) -> str:
    """Return an estimate with its interval, such as ``0.860 (0.810 to 0.900)``."""
    if measured.estimate is None:
        return "unknown"
    estimate = f"{measured.estimate:.{digits}f}"
    if measured.low is None or measured.high is None:
        return estimate
    return f"{estimate} ({measured.low:.{digits}f} to {measured.high:.{digits}f})"


def _head(card: CriticCard) -> Iterator[str]:
    yield f"# Card of the {_role(card)} {_code(card.critic.name)}"
    models = [_model(_role(card), card.critic), _model("reasoner", card.reasoner)]
    yield _table(("", "model", "prompts", "fingerprint"), models)
    temperature = "" if card.temperature is None else f", the critic's temperature {card.temperature:g}"
    yield (
        f"Task: {_code(card.task)}. {card.num_solutions:,} solutions of {card.num_problems:,} problems, "
        f"{card.num_judged:,} of them distinct and judged, seed {card.seed}{temperature}. Intervals are 95 % "
        "intervals over whole problems; those of single bins take each solution for independent."
    )


def _outcomes(card: CriticCard) -> list[tuple[str, CardOutcome]]:
    named = (("the answer is right", card.answer), ("every step is right", card.steps))
    return [(name, outcome) for name, outcome in named if outcome is not None]


def _role(card: CriticCard) -> str:
    return card.kind.replace("_", " ")


def _against_chance(auroc: Measured, outcome: CardOutcome | None) -> str:
    if outcome is None or not outcome.num:
        return "; no solution has a value"
    if auroc.estimate is None:
        return "; the solutions with a value are all right or all wrong"
    if auroc.low is None or auroc.high is None:
        return "; it cannot be told from chance"
    if auroc.high < _CHANCE:
        return "; it is inverted: wrong solutions have the higher values"
    return "" if auroc.low > _CHANCE else "; it cannot be told from chance"


def _calibration_lines(name: str, outcome: CardOutcome) -> Iterator[str]:
    if not outcome.num:
        return
    yield f"calibration error, {name}: {interval(outcome.calibration_error)}"
    if outcome.scaling is not None:
        yield (
            f"on the held half, {name}: {interval(outcome.scaling.error_before)}; after Platt scaling "
            f"{interval(outcome.scaling.error_after)}, after beta calibration "
            f"{interval(outcome.scaling.beta.error_after)}"
        )


def _model(role: str, model: CardModel) -> Sequence[str]:
    return (role, _code(model.name), _code(model.prompts), _code(model.fingerprint) if model.fingerprint else "unknown")


def _separation(card: CriticCard) -> Iterator[Sequence[str]]:
    aurocs = {"the answer is right": card.answer_auroc, "every step is right": card.steps_auroc}
    for name, outcome in _outcomes(card):
        auroc = aurocs[name] or Measured(estimate=None)
        yield (
            name,
            interval(auroc) + _against_chance(auroc, outcome),
            interval(outcome.mean_value_if_right),
            interval(outcome.mean_value_if_wrong),
        )


def _scalings(card: CriticCard) -> Iterator[str]:
    for name, outcome in _outcomes(card):
        scaling = outcome.scaling
        if scaling is None:
            continue
        beta = scaling.beta
        fits = [
            ("none", "", interval(scaling.error_before)),
            ("Platt", f"slope {scaling.slope:.3f}, intercept {scaling.intercept:.3f}", interval(scaling.error_after)),
            ("beta", f"a {beta.a:.3f}, b {beta.b:.3f}, c {beta.c:.3f}", interval(beta.error_after)),
        ]
        yield (
            f"Scalings of the value to the probability that {name}, fitted to {scaling.num_fitted:,} solutions of one "
            f"half of the problems and checked on {scaling.num_held:,} of the other:"
        )
        yield _table(("scaling", "fitted", "calibration error on the held half"), fits)


def _bins(name: str, outcome: CardOutcome) -> str:
    if not outcome.bins:
        return ""
    rows = [
        (f"{each.low:.3f} to {each.high:.3f}", f"{each.mean_value:.3f}", interval(each.share_right), f"{each.num:,}")
        for each in outcome.bins
    ]
    return f"### {name}\n\n" + _table(("values", "mean value", "share right", "solutions"), rows)


def _yes_row(name: str, outcome: CardOutcome) -> Sequence[str]:
    figures = (outcome.yes_share, outcome.base_rate, outcome.yes_if_wrong, outcome.yes_if_right)
    return (name, *map(interval, figures))


def _checks(card: CriticCard) -> Iterator[str]:
    if card.first_wrong_step is not None:
        found = card.first_wrong_step
        yield "## Does it name the first wrong step?"
        exact, near = interval(found.exact), interval(found.within_one)
        yield f"Of {found.num:,} wrong solutions: exactly {exact}, within one {near}."
    if card.flips:
        yield "## Does it say the same twice?"
        yield _table(
            ("judged", "verdict flips", "pairs", "unreadable", "mean change of the value"),
            [
                (
                    _KINDS.get(each.kind, each.kind),
                    interval(each.flip_share),
                    f"{each.num:,}",
                    f"{each.num_unreadable:,}",
                    "unknown" if each.mean_change is None else f"{each.mean_change:.3f}",
                )
                for each in card.flips
            ],
        )
    if card.lift is not None:
        yield "## Do its words help?"
        yield _table(
            ("solutions", "rewrites right", "fresh solutions right", "lift", "of wrong ones", "of right ones"),
            [
                (
                    f"{card.lift.num:,}",
                    *map(interval, (card.lift.rewritten, card.lift.fresh, card.lift.lift)),
                    *map(interval, (card.lift.lift_if_wrong, card.lift.lift_if_right)),
                )
            ],
        )
    if card.rollouts is not None:
        yield "## Does its value of intermediate steps agree with rollouts?"
        yield (
            f"Of {card.rollouts.num:,} intermediate steps with {card.rollouts.num_rollouts} completions each: rank "
            f"correlation {interval(card.rollouts.rank_correlation)}, AUROC {interval(card.rollouts.auroc)}."
        )


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    if not rows:
        return "No judgement could be read."
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _code(text: str) -> str:
    """Return a name as code; it may hold any characters."""
    plain = "".join(character if character.isprintable() and character not in "`|" else "?" for character in text)
    return f"`{plain}`" if plain else ""
