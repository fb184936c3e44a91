"""The kinds of findings of a labelled tree, with the type of each.

========================  =============================================================================================
finding                   content
========================  =============================================================================================
``value/DIGEST``          the critic's value of a right path, or of the first steps of any path; None is unreadable
``paths``                 how many paths are right, wrong, unsure and unanswered, and the reference path
``pairs``                 the pairs, in the order that gives each its number
``critique/PAIR/NUMBER``  the critiques of one pair by the annotator of that number
``baseline/DIGEST``       draws without a critique from the node where pairs part
``fresh_baseline/DIGEST`` further draws without a critique, for reports and preferences
``refined/PAIR/DIGEST``   draws with a critique
``fresh/PAIR/DIGEST``     further draws with it, for reports and preferences
``labels``                the steps of finished paths with their labels
``search/NUMBER``         the first wrong step of a wrong path, found by binary search
``injection/NUMBER``      a right path with injected errors, and the errors that detectors found
``done``                  marks complete findings
========================  =============================================================================================
"""

import hashlib

from critic_engine.data.harvest.critique_lift import CritiqueRecord, DrawResult
from critic_engine.data.harvest.error_detection import InjectionResult
from critic_engine.data.harvest.labels import FailedSearch, SearchedPath, TreeLabels
from critic_engine.data.harvest.pairs import TreePairs
from critic_engine.data.harvest.paths import TreePaths
from critic_engine.run.findings import FindingKey
from critic_engine.types import Trajectory

VALUE: FindingKey[float | None] = FindingKey("value", float | None)
PATHS: FindingKey[TreePaths] = FindingKey("paths", TreePaths)
PAIRS: FindingKey[TreePairs] = FindingKey("pairs", TreePairs)
CRITIQUES: FindingKey[tuple[CritiqueRecord, ...]] = FindingKey("critique", tuple[CritiqueRecord, ...])
LABELS: FindingKey[TreeLabels] = FindingKey("labels", TreeLabels)
SEARCH: FindingKey[SearchedPath | FailedSearch] = FindingKey("search", SearchedPath | FailedSearch)
INJECTION: FindingKey[InjectionResult] = FindingKey("injection", InjectionResult)


def value_key(steps: tuple[str, ...]) -> FindingKey[float | None]:
    """Return the key of the critic's value of ``steps``."""
    return VALUE.at(_digest(*steps))


def refined_key(pair: int, words: str, *, is_fresh: bool = False) -> FindingKey[DrawResult]:
    """Return the key of the draws with a critique of the pair of that number."""
    return FindingKey("fresh" if is_fresh else "refined", DrawResult).at(f"{pair:04}", _digest(words))


def baseline_key(base: Trajectory, *, is_fresh: bool = False) -> FindingKey[DrawResult]:
    """Return the key of the draws that continue ``base`` without a critique."""
    return FindingKey("fresh_baseline" if is_fresh else "baseline", DrawResult).at(_digest(base.prefix))


def _digest(*texts: str) -> str:
    # What a model wrote may hold half a surrogate pair.
    return hashlib.sha256("\x00".join(texts).encode(errors="surrogatepass")).hexdigest()[:16]
