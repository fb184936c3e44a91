"""The names of a funnel in words: its reasons, its filters, and the kinds of what a run finds."""

_REASONS = {
    "unreadable": "cannot be read, or are too large",
    "evaluation_set": "repeat a problem of an evaluation set",
    "no_reference_answer": "have no reference answer",
    "disputed_reference_answer": "have another reference answer than a row of the same problem",
    "foreign_reference_answer": "have a reference answer that is none of the choices",
    "harvest_failed": "have a tree of which nothing could be made",
    "search_failed": "have a search that failed",
    "not_done_yet": "are not done yet",
    "no_known_path": "have no finished path that can be checked",
    "all_right": "have no wrong path",
    "all_wrong": "have no right path",
    "unsure": "have an answer that is neither surely right nor surely wrong",
    "unanswered": "give no answer",
    "no_right_path": "belong to a tree without a right path",
    "over_max_pairs": "are past collect.pairs.max_pairs of their problem",
    "never_parts": "never part from the reference path, or go on from its end",
    "not_paired": "are not paired, for collect.pairs.kinds names no divergent pairs",
    "little_support": "have a right path whose first own step few right ones say there",
    "critic_unreadable": "have a reference path, or part in a step, without a value that the critic gave",
    "reference_doubted": "have a reference path that the critic doubts",
    "chosen_doubted": "have a right path whose first own step the critic doubts",
    "rejected_believed": "have a wrong path whose first own step the critic believes",
    "not_annotated": "are annotated by nobody, for collect.annotators is empty",
    "same_error": "are of an error that another pair has",
    "over_max_annotated": "are past collect.pairs.max_annotated of their problem",
    "error": "come of a request that failed",
    "orders_disagree": "blame another step when the two paths change places",
    "blames_right_path": "blame the right path",
    "blames_shared_steps": "blame a step that both paths share",
    "misses_error": "find nothing wrong",
    "names_paths": "speak of the two paths, of which a reader sees one",
    "not_pocket": "come of rules that do not know the problem",
    "text_empty": "hold no word",
    "text_too_long": "are longer than collect.filters.max_characters",
    "text_answers": "state a final answer",
    "text_repeats": "say one thing over and over",
    "leaks_answer": "hold the reference answer",
    "unmeasured": "could not be measured",
    "few_right": "bring fewer right solutions than collect.filters.min_right",
    "low_lift": "lift less than collect.filters.min_lift",
    "coarse": "have no label but that of their answer",
    "over_max_paths": "are past collect.labels.max_paths of their problem",
    "unchecked": "have no answer that can be checked",
    "unsolvable": "are of a problem of which nothing came out right",
    "not_injected": "could not be given errors",
    "not_detected": "cannot be read, or come of a request that failed",
    "not_graded": "could not be graded",
    "equal_scores": "would prefer one of two detections of equal score",
    "equal_texts": "would prefer one of two detections that say the same, or what others say",
    "correct_share": "would make correct ones more than collect.filters.correct_share",
    "small_lift_gap": "lift less than collect.filters.min_lift_gap more than another",
    "gap_not_repeated": "do not lift more than another in fresh draws",
    "searched": "are of a path that a binary search labels",
    "not_corrected": "have no right solution that the critique brought",
    "partial": "end before an answer, see collect.filters.is_partial_allowed",
    "says_nothing_of_it": "were left out for what says nothing of how good they are",
    "out_of_balance": "are of a stratum that has more than collect.filters.max_balance_ratio lets it",
    "near_duplicate": "are of a problem that nearly repeats another",
}
_OF_STAGE = {
    ("paths to label", "says_the_same"): "read like another path of their tree",
    ("wrong paths", "says_the_same"): "read like another wrong path of their tree",
    ("critiques", "says_the_same"): "say what another critique of their pair says",
    ("critiques", "unreadable"): "cannot be read",
    ("training rows", "says_the_same"): "say what a row of another kind of pair says",
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
    "injection": "injected errors, and who finds them",
}


def reason_words(stage: str, reason: str) -> str:
    """Return why something is left out at a stage, to be read behind "those that"."""
    return _OF_STAGE.get((stage, reason)) or _REASONS.get(reason) or reason.replace("_", " ")


def filter_words(name: str) -> str:
    """Return what a filter leaves out."""
    return _FILTERS.get(name) or name.replace("_", " ")


def finding_words(kind: str) -> str:
    """Return what a kind of finding is, to be read behind the tokens that it took."""
    return _FINDINGS.get(kind) or kind.replace("_", " ")
