"""Why a result is one: which example drove it, what tags and languages they share, how they differ, what sounds alike.

Segments come from PostgreSQL, for the results of the page alone: to open the index of all segments takes as long as it
is large, and a query by whole tracks does not need it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from retrieval.catalog.languages import UNKNOWN_LANGUAGE
from retrieval.filters.keys import relation
from retrieval.search.query import Explanation, SegmentMatch
from retrieval.search.recommend import driven_by, score_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from retrieval.catalog.reading import Catalog
    from retrieval.catalog.records import Track, TrackSegments
    from retrieval.search.picking import Candidates
    from retrieval.search.plan import Plan

SHARED_TAG_SCORE = 0.1
SHARED_TAGS = 5
SHARED_LANGUAGE_RATIO = 0.1
BEST_SEGMENTS = 3


def explanations(plan: Plan, page: Candidates, tracks: Mapping[int, Track], catalog: Catalog) -> list[Explanation]:
    """One explanation for every result of a page, whose tracks are given by id."""
    if not len(page):
        return []
    drivers = driven_by(plan.view.vectors(page.vector_ids), plan.positive, plan.query.strategy).tolist()
    facts = _Facts.of(plan, page, catalog)
    example_tags = _example_tags(plan, facts)
    example_languages = _surest([plan.seeds[key].languages for key in _liked(plan)])
    return [
        Explanation(
            shared_tags(example_tags, facts.tags.get(track_id, {})),
            shared_languages(example_languages, tracks[track_id].languages),
            *_compared(plan, driver, tracks[track_id]),
            _best_segments(plan, driver, track_id, facts),
            plan.positive[driver].name,
        )
        for track_id, driver in zip(page.track_ids.tolist(), drivers, strict=True)
    ]


def shared_tags(ours: Mapping[str, float], theirs: Mapping[str, float]) -> list[str]:
    """The tags that both have, the surest first."""
    return _shared(ours, theirs, SHARED_TAG_SCORE)[:SHARED_TAGS]


def shared_languages(ours: Mapping[str, float], theirs: Mapping[str, float]) -> list[str]:
    """The languages that both are sung in, by the largest share that both have first; one not known is none."""
    return [code for code in _shared(ours, theirs, SHARED_LANGUAGE_RATIO) if code != UNKNOWN_LANGUAGE]


def _shared(ours: Mapping[str, float], theirs: Mapping[str, float], least: float) -> list[str]:
    strength = {name: min(number, theirs.get(name, 0.0)) for name, number in ours.items()}
    shared = [name for name, number in strength.items() if number >= least]
    return sorted(shared, key=lambda name: (-strength[name], name))


def best_pairs(ours: NDArray[np.float32], theirs: NDArray[np.float32], *, each_once: bool) -> list[tuple[int, int]]:
    """The pairs that are most alike, at most `BEST_SEGMENTS`, best first; equal ones in order of place.

    Parameters
    ----------
    ours, theirs : float32 [n, dim] and [m, dim], L2 norm 1
    each_once : use each of ours once; each of theirs always is

    Returns
    -------
    Places in `ours` and in `theirs`
    """
    cosines, pairs = ours @ theirs.T, list[tuple[int, int]]()
    while len(pairs) < min(BEST_SEGMENTS, len(theirs), len(ours) if each_once else BEST_SEGMENTS):
        our, their = divmod(int(np.argmax(cosines)), len(theirs))
        pairs.append((our, their))
        cosines[:, their] = -np.inf
        if each_once:
            cosines[our] = -np.inf
    return pairs


@dataclass(frozen=True)
class _Facts:
    """What the catalogue knows of results and examples, by track id."""

    tags: Mapping[int, Mapping[str, float]]
    segments: Mapping[int, TrackSegments]

    @classmethod
    def of(cls, plan: Plan, page: Candidates, catalog: Catalog) -> _Facts:
        track_ids = [*page.track_ids.tolist(), *(seed.id for seed in plan.seeds.values())]
        segments = catalog.segments_of(track_ids, plan.space, plan.view.encoder_version)
        return cls(catalog.tags_of(track_ids), segments)


def _example_tags(plan: Plan, facts: _Facts) -> dict[str, float]:
    """The tags of all that the results shall be like, each by its surest score."""
    liked = [facts.tags.get(plan.seeds[key].id, {}) for key in _liked(plan)]
    return _surest([*liked, *(seed.tags for seed in plan.query.positive if seed.tags)])


def _liked(plan: Plan) -> set[str]:
    """Keys of the tracks that the results shall be like."""
    return {seed.track for seed in plan.query.positive if seed.track is not None}


def _surest(several: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """The largest number of each name."""
    return {name: max(numbers.get(name, 0.0) for numbers in several) for numbers in several for name in numbers}


def _compared(plan: Plan, driver: int, track: Track) -> tuple[float | None, float | None, str | None]:
    """Vocal ratio and tempo less those of the example that drove the result, and how its key stands to that one's."""
    key = plan.query.positive[driver].track
    if key is None:
        return None, None, None
    example = plan.seeds[key]
    return (
        _difference(track.vocal_ratio, example.vocal_ratio),
        _difference(track.tempo, example.tempo),
        _key_relation(example, track),
    )


def _difference(theirs: float | None, ours: float | None) -> float | None:
    return None if theirs is None or ours is None else theirs - ours


def _key_relation(example: Track, track: Track) -> str | None:
    ours, theirs = _key_of(example), _key_of(track)
    return None if ours is None or theirs is None else relation(ours, theirs)


def _key_of(track: Track) -> tuple[str, str] | None:
    return None if track.tonic is None or track.mode is None else (track.tonic, track.mode)


def _best_segments(plan: Plan, driver: int, track_id: int, facts: _Facts) -> list[SegmentMatch]:
    theirs = facts.segments.get(track_id)
    if theirs is None:
        return []
    seed, spans_s = plan.query.positive[driver], None
    vectors = plan.positive[driver].vector[np.newaxis]
    if seed.track is not None:
        ours = facts.segments.get(plan.seeds[seed.track].id)
        if ours is None:
            return []
        ours = ours if seed.span_s is None else ours.touching(*seed.span_s)
        vectors, spans_s = _units(ours.vectors), ours.spans_s
    others = _units(theirs.vectors)
    return [
        SegmentMatch(
            None if spans_s is None else spans_s[our],
            theirs.spans_s[their],
            float(score_of(vectors[our] @ others[their])),
        )
        for our, their in best_pairs(vectors, others, each_once=spans_s is not None)
    ]


def _units(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """Segments are stored as they were encoded, at any norm."""
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.where(norms > 0, norms, 1), np.float32)
