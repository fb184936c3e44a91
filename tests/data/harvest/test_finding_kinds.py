"""The JSON of each kind of finding, as runs on disk hold it."""

from typing import Any

import pytest

from critic_engine.data.harvest.critique_lift import CritiqueRecord, DrawCounts, DrawResult
from critic_engine.data.harvest.error_detection import InjectionResult
from critic_engine.data.harvest.finding_kinds import (
    CRITIQUES,
    INJECTION,
    LABELS,
    PAIRS,
    PATHS,
    SEARCH,
    VALUE,
    baseline_key,
    refined_key,
    value_key,
)
from critic_engine.data.harvest.injection_scores import DetectionScore, ScoredDetection
from critic_engine.data.harvest.labels import FailedSearch, LabelledPath, SearchedPath, StepLabel, TreeLabels
from critic_engine.data.harvest.pairs import Branch, Pair, TreePairs
from critic_engine.data.harvest.paths import ReferencePath, Support, TreePaths
from critic_engine.errors import RunError
from critic_engine.parsing.injections import InjectedError
from critic_engine.roles.annotator import Annotation
from critic_engine.run.findings import FindingKey
from critic_engine.types import TokenUsage, Trajectory

COUNTS = '"num_right":1,"num_wrong":2,"num_unsure":3,"num_unanswered":4'
BRANCH = '{"steps":["b"],"text":"b","answer":null,"value":0.5,"num_rollouts":4,"num_tokens":9,"node_id":-1}'
PAIR = (
    f'{{"kind":"divergent","shared":["a"],"shared_text":"a\\n","chosen":{BRANCH},"rejected":{BRANCH},'
    '"support":{"num_alike":3,"num_drawn":4,"most_alike":3},"num_paths":2}'
)
ANNOTATION = '{"first_wrong_step":2,"reason":"r","fault":null}'
DETECTION = (
    '{"detector":"d","words":"w","errors":[{"step":null,"description":"e"}],'
    '"score":{"num_errors":1,"num_found":1,"num_matched":0,"grade":7},"failure":null}'
)
USAGE = (
    '{"prompt_tokens":1,"generated_tokens":2,"cached_tokens":0,"num_retries":0,"num_requests":0,'
    '"critic_prompt_tokens":0,"critic_generated_tokens":0,"critic_cached_tokens":0}'
)
SOFT, HARD = ('{"value":0.5,"num_right":1,"num_rollouts":2}', '{"value":0.0,"num_right":0,"num_rollouts":0}')
SIDE = Branch(("b",), "b", None, 0.5, 4, 9, -1)
LABEL_PAIR = (StepLabel.soft(1, 2), StepLabel.hard(is_right=False))


@pytest.mark.parametrize(
    ("key", "text", "content"),
    [
        (VALUE, "0.25", 0.25),
        (VALUE, "null", None),
        (
            PATHS,
            f'{{{COUNTS},"num_rollouts":5,"reference":{{"steps":["a"],"text":"a","value":null}}}}',
            TreePaths(
                num_right=1,
                num_wrong=2,
                num_unsure=3,
                num_unanswered=4,
                num_rollouts=5,
                reference=ReferencePath(("a",), "a", None),
            ),
        ),
        (
            PAIRS,
            f'{{"pairs":[{PAIR}],"num_over_limit":1,"num_others_over_limit":2}}',
            TreePairs((Pair("divergent", ("a",), "a\n", SIDE, SIDE, Support(3, 4, 3), 2),), 1, 2),
        ),
        (
            CRITIQUES,
            f'[{{"pair":1,"annotator":"x","annotation":{ANNOTATION},"words":"w","refined":null,"corrected":null}}]',
            (CritiqueRecord(1, "x", Annotation(2, "r"), "w"),),
        ),
        (
            refined_key(1, "w"),
            '{"tally":{"num_right":1,"num_wrong":2,"num_unsure":3},"corrected":"c","error":null}',
            DrawResult(DrawCounts(1, 2, 3), "c"),
        ),
        (baseline_key(Trajectory()), '{"tally":null,"corrected":null,"error":"e"}', DrawResult(error="e")),
        (
            LABELS,
            f'{{"paths":[{{"node_id":3,"steps":["a","b"],"labels":[{SOFT},{HARD}]}}],'
            '"num_alike":1,"num_coarse":2,"num_unchecked":3,"num_over_limit":4}',
            TreeLabels((LabelledPath(3, ("a", "b"), LABEL_PAIR),), 1, 2, 3, 4),
        ),
        (
            SEARCH,
            f'{{"steps":["a","b"],"first_wrong_step":2,"labels":[{SOFT},{HARD}]}}',
            SearchedPath(("a", "b"), 2, LABEL_PAIR),
        ),
        (SEARCH, '{"steps":["a"],"first_wrong_step":null,"labels":[null]}', SearchedPath(("a",), None, (None,))),
        (SEARCH, '{"error":"down"}', FailedSearch("down")),
        (
            INJECTION,
            f'{{"steps":["a"],"errors":[{{"step":1,"description":"e"}}],"detections":[{DETECTION}],"usage":{USAGE},'
            '"failure":null}',
            InjectionResult(
                steps=("a",),
                errors=(InjectedError(1, "e"),),
                detections=(
                    ScoredDetection(
                        detector="d",
                        words="w",
                        errors=(InjectedError(None, "e"),),
                        score=DetectionScore(num_errors=1, num_found=1, num_matched=0, grade=7),
                    ),
                ),
                usage=TokenUsage(1, 2),
            ),
        ),
    ],
)
def test_a_finding_is_read_and_written_as_runs_hold_it(key: FindingKey[Any], text: str, content: object) -> None:
    assert key.decode(text, position=0) == content
    assert key.encode(content) == text


def test_paths_of_a_run_that_did_not_store_rollouts_are_read() -> None:
    found = PATHS.decode(f'{{{COUNTS},"reference":null}}', position=0)
    assert (found.num_rollouts, found.num_unanswered, found.reference) == (None, 4, None)


def test_names_tell_pairs_words_and_rounds_apart() -> None:
    base = Trajectory(("a",))
    keys = [
        *(value_key(("a", "b")), value_key(("ab",)), baseline_key(base), baseline_key(base, is_fresh=True)),
        *(refined_key(1, "w"), refined_key(2, "w"), refined_key(1, "v"), refined_key(1, "w", is_fresh=True)),
    ]
    assert len({key.name for key in keys}) == len(keys)
    assert [key.name.split("/")[0] for key in keys] == (
        ["value", "value", "baseline", "fresh_baseline", "refined", "refined", "refined", "fresh"]
    )


@pytest.mark.parametrize("text", ["{}", '{"num_rigth":2}', "[]"])
def test_counts_of_another_shape_are_refused_and_never_become_zeros(text: str) -> None:
    with pytest.raises(RunError, match=r"the finding 'paths' of row 3 cannot be read: .*; put back a copy"):
        PATHS.decode(text, position=2)
