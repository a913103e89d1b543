"""What an evaluation comes to: frozen, and all of it JSON, so that any report can be made from the file alone."""

from __future__ import annotations

import math
import time
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from _typeshed import DataclassInstance

    from retrieval.evaluation.inputs.judgments import LeftOut
    from retrieval.evaluation.measures.significance import Difference, Interval

FORMAT = 1
LISTWISE = {
    "diversity": "intra-list diversity",
    "tail_share": "tail share",
    "same_artist": "same artist",
    "same_album": "same album",
}
"""What is beyond accuracy and has a value for every list, and how it is called."""


class StepTimer:
    """Seconds since the step before, by step."""

    def __init__(self) -> None:
        self._last = time.perf_counter()
        self.seconds: dict[str, float] = {}

    def lap(self, name: str) -> None:
        """End a step."""
        now = time.perf_counter()
        self.seconds[name] = round(now - self._last, 3)
        self._last = now


@dataclass(frozen=True, kw_only=True)
class EvaluationResult:
    """What every result says of itself: when it was made, in UTC, ISO 8601 to the second, and how it is written."""

    created: str = field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="seconds"))
    format: int = FORMAT


@dataclass(frozen=True)
class Subject:
    """What was evaluated: the index as it stood, and how it was asked.

    Attributes
    ----------
    depth : of the answers: the most results that any query got
    """

    space: str
    granularity: str
    encoder_version: str
    index_version: str
    tracks: int
    depth: int
    exact: bool


@dataclass(frozen=True)
class BeyondAccuracy:
    """What `retrieval.evaluation.measures.beyond_accuracy` says of the first `k` results; NaN where nothing is known.

    Attributes
    ----------
    lorenz : `beyond_accuracy.lorenz` in hundredths; empty when nothing was recommended
    """

    k: int
    coverage: float
    gini: float
    entropy_bits: float
    occurrence_skew: float
    tail_share: Interval
    diversity: Interval
    same_artist: Interval
    same_album: Interval
    lorenz: Sequence[float] = ()


@dataclass(frozen=True)
class FoundTrack:
    """A track that was found, and whether it was judged relevant."""

    key: str
    artist: str | None
    title: str | None
    relevant: bool


@dataclass(frozen=True)
class WorstQuery:
    """A query that was answered worse than most, and the first tracks that it found."""

    query: str
    found: Sequence[FoundTrack]


@dataclass(frozen=True)
class Evaluation(EvaluationResult):
    """One run of queries against the live index.

    Attributes
    ----------
    source : the file of judgments
    queries : how many were evaluated
    judgments, relevant : how many of them there are, and how many say relevant
    returned : results over all queries
    unjudged : share of the first 10 results that nobody judged
    metrics : by name, over queries
    lower_is_better : metrics of which less is more
    worst : the queries that `retrieval.evaluation.worst` picks, the worst first
    seconds : by step
    """

    subject: Subject
    source: str
    queries: int
    judgments: int
    relevant: int
    returned: int
    unjudged: float
    metrics: Mapping[str, Interval]
    beyond_accuracy: BeyondAccuracy
    left_out: LeftOut
    lower_is_better: Sequence[str] = ()
    worst: Sequence[WorstQuery] = ()
    warnings: Sequence[str] = ()
    seconds: Mapping[str, float] = field(default_factory=dict)
    kind: str = "run"


@dataclass(frozen=True)
class RunComparison(EvaluationResult):
    """Two runs on the same judgments.

    Attributes
    ----------
    first, second, source : the files of the runs, and of the judgments
    queries : judged ones with a relevant document; one that a run does not answer scores 0
    unanswered : queries without an answer, of the first and of the second run
    unjudged_queries : queries of the runs that nobody judged: they do not count
    without_relevant : judged queries without a relevant document: they do not count
    """

    first: str
    second: str
    source: str
    queries: int
    unanswered: tuple[int, int]
    unjudged_queries: tuple[int, int]
    without_relevant: Sequence[str]
    metrics: Mapping[str, Difference]
    lower_is_better: Sequence[str] = ()
    warnings: Sequence[str] = ()
    kind: str = "comparison"


@dataclass(frozen=True)
class Latency:
    """Milliseconds that one query takes, alone, at percentiles."""

    p50_ms: float
    p95_ms: float
    p99_ms: float


@dataclass(frozen=True)
class AnnRecall:
    """The index against its exact twin, among some of the tracks.

    Attributes
    ----------
    among : ``all``, ``random``, or the filter
    matching, share : how many tracks, and of all
    path : ``ivf``, or ``exact`` where the index scans on its own account
    id_overlap, tie_safe, epsilon : recall of the k nearest, as `retrieval.evaluation.ann_recall` defines it
    worst : the lowest tie-safe recall of any query
    """

    among: str
    matching: int
    share: float
    path: str
    id_overlap: Interval
    tie_safe: Interval
    epsilon: Interval
    worst: float
    latency: Latency
    exact_latency: Latency


@dataclass(frozen=True)
class AnnEvaluation(EvaluationResult):
    """ANN recall, by selectivity: what the approximate index loses, whatever recommendations are worth."""

    subject: Subject
    k: int
    epsilon: float
    queries: int
    timed_queries: int
    rows: Sequence[AnnRecall]
    warnings: Sequence[str] = ()
    kind: str = "ann"


def as_json(result: DataclassInstance) -> dict[str, Any]:
    """The result in JSON's own types; what is no number (NaN, infinite) is null."""
    plain: dict[str, Any] = _plain(asdict(result))
    return plain


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _plain(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
