"""Readable names for the reasons and filters of a funnel, and for the kinds of findings."""

from critic_engine.run.written_report import NOT_DONE

_REASONS = {
    "unreadable": "cannot be read, or are too large",
    "evaluation_set": "repeat a problem of an evaluation set",
    "no_reference_answer": "have no reference answer",
    "disputed_reference_answer": "have another reference answer than a row of the same problem",
    "foreign_reference_answer": "have a reference answer that is none of the choices",
    "harvest_failed": "have a tree whose harvest failed",
    "search_failed": "have a search that failed",
    NOT_DONE: "are not done yet",
    "no_known_path": "have no finished path that can be checked",
    "all_right": "have no wrong path",
    "all_wrong": "have no right path",
    "unsure": "have an answer that the checker cannot tell",
    "unanswered": "give no answer",
    "no_right_path": "belong to a tree without a right path",
    "over_max_pairs": "are past collect.pairs.max_pairs of their problem",
    "never_parts": "never part from the reference path, or continue it",
    "not_paired": "are not paired, for collect.pairs.kinds names no divergent pairs",
    "little_support": "have a right path whose first own step few right draws share",
    "critic_unreadable": "have a reference path or a step where they part that the critic gave no readable value",
    "reference_doubted": "have a reference path that the critic doubts",
    "chosen_doubted": "have a right path whose first own step the critic doubts",
    "rejected_believed": "have a wrong path whose first own step the critic believes",
    "not_annotated": "are not annotated, for collect.annotators is empty",
    "same_error": "are of an error that another pair has",
    "over_max_annotated": "are past collect.pairs.max_annotated of their problem",
    "error": "come from a failed request",
    "orders_disagree": "blame another step when the two paths change places",
    "blames_right_path": "blame the right path",
    "blames_shared_steps": "blame a step that both paths share",
    "misses_error": "find nothing wrong",
    "names_paths": "mention the two paths, of which a critic sees one",
    "not_pocket": "come from rules that do not know the problem",
    "text_empty": "are empty",
    "text_too_long": "are longer than collect.filters.max_characters",
    "text_answers": "state a final answer",
    "text_repeats": "repeat themselves",
    "leaks_answer": "hold the reference answer",
    "unmeasured": "could not be measured",
    "few_right": "lead to fewer right solutions than collect.filters.min_right",
    "low_lift": "lift less than collect.filters.min_lift",
    "coarse": "have no label but that of their answer",
    "over_max_paths": "are past collect.labels.max_paths of their problem",
    "unchecked": "have no answer that can be checked",
    "unsolvable": "belong to a problem without any right completion",
    "not_injected": "could not be given errors",
    "not_detected": "cannot be read, or come from a failed request",
    "not_graded": "could not be graded",
    "equal_scores": "would prefer one of two detections of equal score",
    "equal_texts": "would prefer one of two detections of equal text, or repeat another pair",
    "correct_share": "would exceed collect.filters.correct_share",
    "small_lift_gap": "lift less than collect.filters.min_lift_gap more than another",
    "gap_not_repeated": "do not lift more than another in fresh draws",
    "searched": "are of a path that a binary search labels",
    "not_corrected": "have a critique that led to no right solution",
    "partial": "end before an answer, see collect.filters.is_partial_allowed",
    "says_nothing_of_it": "were left out for a reason that does not tell whether they are good",
    "out_of_balance": "are of a stratum larger than collect.filters.max_balance_ratio allows",
    "near_duplicate": "are of a problem that nearly repeats another",
}
_OF_STAGE = {
    ("paths to label", "says_the_same"): "repeat another path of their tree",
    ("wrong paths", "says_the_same"): "repeat another wrong path of their tree",
    ("critiques", "says_the_same"): "repeat another critique of their pair",
    ("critiques", "unreadable"): "cannot be read",
    ("training rows", "says_the_same"): "repeat a row of another kind of pair",
    ("binary searches", "search_failed"): "could not draw what they needed",
}
_FILTERS = {
    "none": "nothing",
    "faults": "faulty annotations and texts",
    "leaks": "leaked answers",
    "few_right": "too few right solutions",
    "low_lift": "too little lift",
    "near_duplicates": "repetitions",
}
_FINDINGS = {
    "value": "the critic's values of right paths, and of steps where pairs part",
    "critique": "critiques",
    "baseline": "solutions drawn without a critique",
    "fresh_baseline": "solutions drawn without a critique, to report lift by",
    "refined": "solutions drawn with a critique, to filter it by",
    "fresh": "solutions drawn with a critique, to report its lift by",
    "search": "binary searches for the first wrong step",
    "injection": "injected errors and their detections",
}


def reason_words(stage: str, reason: str) -> str:
    """Return the reason to leave something out at a stage, as words that follow "those that"."""
    return _OF_STAGE.get((stage, reason)) or _REASONS.get(reason) or reason.replace("_", " ")


def filter_words(name: str) -> str:
    """Return the critiques that a filter leaves out, in words."""
    return _FILTERS.get(name) or name.replace("_", " ")


def finding_words(kind: str) -> str:
    """Return a kind of finding in words that follow its number of tokens."""
    return _FINDINGS.get(kind) or kind.replace("_", " ")
