"""What is asked of a catalogue, and what it answers.

The `check` methods are where ranges are enforced, for every caller: what has passed them is trusted afterwards.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import inf
from typing import TYPE_CHECKING, Any, Literal, Protocol, get_args

from retrieval.catalog.conditions import SECTION_LABELS
from retrieval.errors import OutOfRangeError, QueryError
from retrieval.search.checks import check_list, check_number, check_one_of, check_range
from retrieval.search.recommend import MAX_WEIGHT, MIN_WEIGHT, Strategy

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

    from retrieval.catalog.records import Granularity, SectionSpan, Track
    from retrieval.errors import Place
    from retrieval.filters.language import Filter

MAX_LIMIT = 1_000
MAX_EXAMPLES = 100
MAX_CANDIDATES = 10_000
MAX_PLAYLIST = 1_000
MAX_GAP = 1_000
MAX_STEPS = 100
GROUPS = ("artist", "album")
"""What `Diversity.max_per` limits."""
HALF_LIFE = 5.0
"""Tracks of a playlist after which an example counts half, unless the caller says otherwise."""


@dataclass(frozen=True, eq=False)
class Seed:
    """An example: a track of the catalogue, a span of one, or a vector.

    Attributes
    ----------
    track : its key, or none when `vector` is given
    start_s, end_s : the span of the track that is meant; none for the whole track
    section : label of the section of the track that is meant, instead of a span
    vector : float32 [dim], any norm but zero
    tags : the vector's own tag scores, to explain by
    encoder_version : of the vector, where it is known; the index must be of the same
    weight : above 0
    spent_s : seconds that it took to make the vector, by part; the answer's timing counts them
    """

    track: str | None = None
    start_s: float | None = None
    end_s: float | None = None
    section: str | None = None
    vector: NDArray[np.float32] | None = None
    tags: Mapping[str, float] = field(default_factory=dict)
    encoder_version: str | None = None
    weight: float = 1.0
    spent_s: Mapping[str, float] = field(default_factory=dict, repr=False)

    @property
    def span_s(self) -> tuple[float, float] | None:
        """The span of the track that is meant; none for the whole track, or a vector."""
        return None if self.start_s is None or self.end_s is None else (self.start_s, self.end_s)

    def check(self, place: Place) -> None:
        """Refuse what names no example, or two; `place` is where it is in the query."""
        if (self.track is None) == (self.vector is None):
            raise QueryError("", "needs exactly one example", "track, vector", place)
        for name in ("start_s", "end_s", "weight"):
            if getattr(self, name) is not None or name == "weight":
                check_number(name, getattr(self, name), place)
        if (self.start_s is None) != (self.end_s is None) or (self.vector is not None and self.start_s is not None):
            raise QueryError("", "has half a span", "track with start_s and end_s", place)
        if self.start_s is not None and not self.start_s >= 0:
            raise OutOfRangeError("start_s", f"is {self.start_s:g}", "at least 0", place)
        if self.start_s is not None and self.end_s is not None and not self.start_s < self.end_s:
            raise QueryError("end_s", f"is {self.end_s:g}, start_s is {self.start_s:g}", "start_s < end_s", place)
        if self.section is not None and (self.vector is not None or self.start_s is not None):
            raise QueryError(
                "section", "says with a span or a vector twice what is meant", "a track with section", place
            )
        if self.section is not None and self.section not in SECTION_LABELS:
            raise QueryError("section", f"is {self.section!r}", ", ".join(SECTION_LABELS), place)
        if not MIN_WEIGHT <= self.weight <= MAX_WEIGHT:
            accepted = f"a number from {MIN_WEIGHT:g} to {MAX_WEIGHT:g}"
            raise OutOfRangeError("weight", f"is {self.weight}", accepted, place)


@dataclass(frozen=True)
class Diversity:
    """How unlike each other the results shall be.

    Attributes
    ----------
    mmr : 0 for relevance alone, 1 for unlikeness alone
    candidates : how many of the nearest the results are picked from; once all of them are placed, the next so many
    max_per : at most so many results of one ``artist`` or ``album``
    fold_duplicates : leave out other versions of a track that is in already, or is an example; ``"sure"``: only where
        fingerprints say that they are, or a cosine of 0.995
    csls : rank tracks lower that are near everything (see :mod:`retrieval.search.hubness`); scores bunch about the
        middle
    """

    mmr: float = 0.0
    candidates: int = 500
    max_per: Mapping[str, int] = field(default_factory=dict)
    fold_duplicates: bool | Literal["sure"] = False
    csls: bool = False

    def check(self) -> None:
        """Refuse what is out of range."""
        check_range("mmr", self.mmr, 0, 1)
        check_one_of("fold_duplicates", self.fold_duplicates, (False, True, "sure"))
        if not isinstance(self.max_per, Mapping):
            raise QueryError("max_per", f"is {self.max_per!r}", "artist, album, each with a number")
        check_range("candidates", self.candidates, 1, MAX_CANDIDATES)
        for group, limit in self.max_per.items():
            if group not in GROUPS:
                raise QueryError(f"max_per.{group}", "is not known", ", ".join(GROUPS))
            check_range(f"max_per.{group}", limit, 1, inf, "1 or more")


@dataclass(frozen=True)
class QueueContext:
    """What plays before the results: keys, oldest first, and how far apart one artist's (album's) tracks must stand."""

    previous: Sequence[str] = ()
    artist_gap: int = 0
    album_gap: int = 0

    def check(self) -> None:
        """Refuse what is out of range."""
        check_list("previous", self.previous, str, "a list of keys")
        for name in ("artist_gap", "album_gap"):
            check_range(name, getattr(self, name), 0, MAX_GAP, f"0 or more, at most {MAX_GAP}")


class Rescoring(Protocol):
    """What knows more of a query than its vector says: it scores the nearest tracks anew.

    Attributes
    ----------
    candidates : how many of the nearest are scored anew together; those of the next so many come behind them
    """

    candidates: int

    def scores(self, track_ids: NDArray[np.int64], cosines: NDArray[np.float32]) -> NDArray[np.float32]:
        """Scores float32 [n] in [0, 1] of tracks, int64 [n], given their cosines with the query, float32 [n]."""


@dataclass(frozen=True)
class Query:
    """What is asked: what is like some examples, and unlike others.

    Attributes
    ----------
    half_life : the positives are a playlist to continue, oldest first: one that stands this many tracks before the last
        counts half as much; none: age does not matter
    exclude : keys that must not come back; unknown ones are told in the answer's `Stats`
    include_seed : let the seeds come back as their own neighbours
    cursor : `Answer.next_cursor` of the page before
    rescoring : what scores the nearest tracks anew; with it a page is picked from these
    exact : score everything that matches
    """

    positive: Sequence[Seed]
    negative: Sequence[Seed] = ()
    strategy: Strategy = "average_vector"
    half_life: float | None = None
    space: str | None = None
    granularity: Granularity = "track"
    filter: Filter | None = None
    exclude: Sequence[str] = ()
    include_seed: bool = False
    context: QueueContext | None = None
    diversity: Diversity | None = None
    rescoring: Rescoring | None = field(default=None, repr=False)
    score_threshold: float | None = None
    limit: int = 10
    cursor: str | None = None
    exact: bool = False
    explain: bool = False

    @property
    def picks(self) -> bool:
        """Whether the order of the results is another than that of their scores."""
        return any(part is not None for part in (self.diversity, self.context, self.rescoring))

    @property
    def played(self) -> list[str]:
        """Keys of what plays before the results, oldest first: a playlist to continue, then what the context names."""
        playlist = [] if self.half_life is None else [seed.track for seed in self.positive if seed.track is not None]
        return [*playlist, *(self.context.previous if self.context else ())]

    def check(self) -> None:
        """Refuse what cannot be run.

        Raises
        ------
        QueryError
            With the field and what it takes.
        """
        for name in ("positive", "negative"):
            check_list(name, getattr(self, name), Seed, "a list of Seed")
        check_list("exclude", self.exclude, str, "a list of keys")
        for name, kind in (("diversity", Diversity), ("context", QueueContext)):
            if not isinstance(getattr(self, name), kind | None):
                raise QueryError(name, f"is {getattr(self, name)!r}", kind.__name__)
        check_one_of("granularity", self.granularity, ("track", "segment"))
        most_positive = MAX_EXAMPLES if self.half_life is None else MAX_PLAYLIST
        for side, seeds, least, most in (
            ("positive", self.positive, 1, most_positive),
            ("negative", self.negative, 0, MAX_EXAMPLES),
        ):
            if not least <= len(seeds) <= most:
                count = f"has {len(seeds)} examples" if seeds else "is empty"
                raise OutOfRangeError(side, count, f"{least} to {most} examples")
            for number, seed in enumerate(seeds):
                seed.check((side, number))
        check_one_of("strategy", self.strategy, get_args(Strategy))
        if self.half_life is not None:
            check_number("half_life", self.half_life)
        if self.half_life is not None and not 0 < self.half_life < inf:
            raise OutOfRangeError("half_life", f"is {self.half_life}", "a number above 0")
        check_range("limit", self.limit, 1, MAX_LIMIT)
        if self.score_threshold is not None:
            check_range("score_threshold", self.score_threshold, 0, 1)
        for part in (self.diversity, self.context):
            if part is not None:
                part.check()


@dataclass(frozen=True)
class SegmentMatch:
    """A part of an example and one of a result that sound alike: start and end of each, in seconds.

    Attributes
    ----------
    query_s : none where the example is a vector
    score : in [0, 1]
    """

    query_s: tuple[float, float] | None
    result_s: tuple[float, float]
    score: float


@dataclass(frozen=True)
class Explanation:
    """Why a result is one.

    Attributes
    ----------
    shared_tags : with the positives, the surest first
    shared_languages : that the result and the positives are sung in, by the largest share that both have first
    vocal_delta : the result's vocal ratio less that of the example that drove it; none where one is not known
    tempo_delta : the result's tempo less that of the example that drove it, in beats a minute; none where one is not
        known
    key_relation : of the result's key to that of the example that drove it (`retrieval.filters.keys.relation`); none
        where one is not known
    best_segments : the parts of both that are most alike, best first, none used twice
    driven_by : the positive that contributes most to the score: its key, or ``vector``
    """

    shared_tags: Sequence[str]
    shared_languages: Sequence[str]
    vocal_delta: float | None
    tempo_delta: float | None
    key_relation: str | None
    best_segments: Sequence[SegmentMatch]
    driven_by: str


@dataclass(frozen=True)
class Result:
    """One neighbour.

    Attributes
    ----------
    span_s : what of it is nearest, when segments were asked for
    section : the part of the track in which the middle of that lies, where its form is known
    """

    track: Track
    score: float
    rank: int
    span_s: tuple[float, float] | None
    section: SectionSpan | None
    explain: Explanation | None


@dataclass(frozen=True)
class Stats:
    """How the answer came about. ``matching = earlier + returned + sum(dropped) + remaining``, always.

    Attributes
    ----------
    matching : tracks of the space that match the filter, without the examples that must not come back
    scored : vectors that the search was about; on an approximate path not all of them were compared
    earlier : results on the pages before
    returned : results on this page
    remaining : tracks that nobody asked for yet: they stand behind this page's last result
    path : how the search went
    dropped : tracks that matched and are not shown, by the rule that kept them out, from the first page to this one
    reason : why there are fewer results than were asked for; none where there are not
    unknown : keys that `exclude` or the context's `previous` name and no track has: they keep nothing out
    """

    matching: int
    scored: int
    earlier: int
    returned: int
    remaining: int
    path: str
    dropped: Mapping[str, int]
    reason: str | None
    unknown: Sequence[str] = ()


@dataclass(frozen=True)
class Answer:
    """Neighbours, best first; `timing_ms` has what each part took, that of decoding first, and their `total`."""

    results: Sequence[Result]
    next_cursor: str | None
    space: str
    index_version: str
    model_version: str
    stats: Stats
    timing_ms: Mapping[str, float]


def similar(track: str, **options: Any) -> Query:
    """What is like one track."""
    return Query((Seed(track),), **options)


def continued(playlist: Sequence[str], *, half_life: float = HALF_LIFE, **options: Any) -> Query:
    """What goes on where a playlist ends, by keys, oldest first: like its last tracks most."""
    return Query([Seed(key) for key in playlist], half_life=half_life, **options)
