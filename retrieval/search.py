"""A query's way: resolve the seed, compile the filter, search the index, rank, explain, answer.

A score is ``(1 + cosine) / 2``, so it lies in [0, 1] and higher is better. An answer holds ``min(limit, matching)``
tracks, or says in `Stats` what was dropped and why.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pyroaring import BitMap64

from retrieval.attributes import Attributes
from retrieval.catalog import Catalog
from retrieval.errors import IndexMismatchError, MissingEmbeddingError, QueryError
from retrieval.filters import Filter, compile_filter
from retrieval.records import Track
from retrieval.space_index import SpaceIndex, newest_encoder_version
from retrieval.vector_index import IndexView

MAX_LIMIT = 1_000
SHARED_TAG_SCORE = 0.1
SHARED_TAGS = 5


@dataclass(frozen=True)
class Query:
    """What is asked: the neighbours of a track, or of a vector.

    Attributes
    ----------
    track : key of the seed, or none when `vector` is given
    vector : float32 [dim], any norm but zero
    tags : the vector's own tag scores, to explain by
    encoder_version : of the vector, where it is known; the index must be of the same
    exclude : keys that must not come back; unknown ones are ignored
    include_seed : let the seed come back as its own neighbour
    exact : scan everything that matches
    """

    track: str | None = None
    vector: NDArray[np.float32] | None = None
    tags: Mapping[str, float] = field(default_factory=dict)
    encoder_version: str | None = None
    space: str | None = None
    filter: Filter | None = None
    exclude: Sequence[str] = ()
    include_seed: bool = False
    score_threshold: float | None = None
    limit: int = 10
    exact: bool = False
    explain: bool = False


@dataclass(frozen=True)
class Result:
    """One neighbour."""

    track: Track
    score: float
    rank: int
    explain: Mapping[str, Any] | None


@dataclass(frozen=True)
class Stats:
    """How the answer came about: what matched, what came back, by which path, what was dropped and why."""

    matching: int
    returned: int
    path: str
    dropped: Mapping[str, int]
    reason: str | None


@dataclass(frozen=True)
class Answer:
    """Neighbours, best first."""

    results: Sequence[Result]
    space: str
    index_version: str
    model_version: str
    stats: Stats
    timing_ms: Mapping[str, float]


class Search:
    """Answers queries over every space of one catalogue; safe to share between threads."""

    def __init__(self, catalog: Catalog, index_root: Path, *, default_space: str) -> None:
        self.catalog = catalog
        self.attributes = Attributes(catalog)
        self.default_space = default_space
        self._index_root = index_root
        self._spaces: dict[str, SpaceIndex] = {}

    def space(self, name: str | None = None) -> SpaceIndex:
        """The index of a space, by default of the default space.

        Raises
        ------
        IndexMissingError
            If no track was ever encoded in it: callers name spaces, and only real ones are kept and looked for on disk.
        """
        name = name or self.default_space
        if name not in self._spaces:
            newest_encoder_version(self.catalog, name)
            self._spaces.setdefault(name, SpaceIndex(self.catalog, self._index_root, name))
        return self._spaces[name]

    def matching(self, condition: Filter) -> BitMap64:
        """Ids of the live tracks that match a filter.

        Raises
        ------
        FilterError
            For an unknown key, or a filter that is malformed.
        """
        self.attributes.refresh()
        return compile_filter(condition, self.attributes)

    def answer(self, query: Query) -> Answer:
        """Run a query.

        Raises
        ------
        UnknownTrackError, MissingEmbeddingError, IndexMissingError, IndexMismatchError, FilterError, QueryError
        """
        clock = _Clock()
        _check(query)
        index = self.space(query.space)
        view = index.view()
        vector, seed = self._resolve(query, view)
        excluded = self._excluded(query, seed)
        clock.lap("resolve")
        allowed = self._allowed(query, excluded)
        clock.lap("filter")
        # Without a filter the few excluded tracks are searched along and dropped, which is cheaper than a bitmap.
        k = query.limit + (len(excluded) if allowed is None else 0)
        found = view.search(vector[np.newaxis], k, allowed=allowed, exact=query.exact)
        clock.lap("search")
        ranked = _rank(found.track_ids[0], found.cosines[0], excluded)
        # A filter left the excluded tracks out before they were counted.
        matching = found.matching - (view.count_of(np.array([*excluded], np.int64)) if allowed is None else 0)
        results, dropped = self._results(query, seed, ranked)
        clock.lap("rank")
        excluded_keys = len(excluded) - (seed is not None and not query.include_seed)
        dropped = {name: n for name, n in ({"exclude": excluded_keys} | dropped).items() if n}
        stats = Stats(matching, len(results), found.path, dropped, _reason(results, matching, query, dropped))
        return Answer(results, index.space, view.version, view.encoder_version, stats, clock.timing_ms())

    def _resolve(self, query: Query, view: IndexView) -> tuple[NDArray[np.float32], Track | None]:
        """The unit vector to search with, float32 [dim], and the seed it belongs to."""
        if query.track is None:
            assert query.vector is not None  # _check
            if query.encoder_version not in (None, view.encoder_version):
                raise IndexMismatchError(
                    f"the query was encoded by {query.encoder_version}, the index holds {view.encoder_version}: "
                    "index the catalogue again with the new weights"
                )
            return _unit(query.vector, view.dim), None
        seed = self.catalog.track(query.track)
        vector = view.vector(seed.id)
        if vector is None:
            raise MissingEmbeddingError(
                f"track {seed.key!r} has no embedding of {view.encoder_version} yet: index it in this space"
            )
        return vector, seed

    def _excluded(self, query: Query, seed: Track | None) -> set[int]:
        excluded = set(self.catalog.ids_by_key(query.exclude).values()) if query.exclude else set()
        if seed is not None and not query.include_seed:
            excluded.add(seed.id)
        return excluded

    def _allowed(self, query: Query, excluded: set[int]) -> NDArray[np.int64] | None:
        if query.filter is None:
            return None
        matching = self.matching(query.filter) - BitMap64(excluded)
        return np.asarray(matching.to_array(), dtype=np.uint64).astype(np.int64)

    def _results(
        self, query: Query, seed: Track | None, ranked: Sequence[tuple[int, float]]
    ) -> tuple[list[Result], dict[str, int]]:
        above = [
            (track_id, score) for track_id, score in ranked[: query.limit] if score >= (query.score_threshold or 0)
        ]
        tracks = self.catalog.tracks_by_id([track_id for track_id, _ in above])
        tags: Mapping[int, Mapping[str, float]] = {}
        if query.explain:
            tags = self.catalog.tags_of([*tracks, *([seed.id] if seed else [])])
        query_tags = tags.get(seed.id, {}) if seed else query.tags
        live = [(tracks[track_id], score) for track_id, score in above if track_id in tracks]
        results = [
            Result(
                track,
                score,
                rank,
                {"shared_tags": _shared(query_tags, tags.get(track.id, {}))} if query.explain else None,
            )
            for rank, (track, score) in enumerate(live, start=1)
        ]
        below = min(len(ranked), query.limit) - len(above)
        return results, {"score_threshold": below, "deleted_meanwhile": len(above) - len(live)}


class _Clock:
    def __init__(self) -> None:
        self._start = self._last = time.perf_counter()
        self._laps: dict[str, float] = {}

    def lap(self, name: str) -> None:
        now = time.perf_counter()
        self._laps[name] = now - self._last
        self._last = now

    def timing_ms(self) -> dict[str, float]:
        laps = self._laps | {"total": self._last - self._start}
        return {name: round(1000 * seconds, 3) for name, seconds in laps.items()}


def _check(query: Query) -> None:
    if (query.track is None) == (query.vector is None):
        raise QueryError("query", "needs exactly one seed", "track, vector")
    if not 1 <= query.limit <= MAX_LIMIT:
        raise QueryError("limit", f"is {query.limit}", f"1 to {MAX_LIMIT}")


def _unit(vector: NDArray[np.float32], dim: int) -> NDArray[np.float32]:
    if vector.shape != (dim,):
        raise QueryError("query.vector", f"has {vector.size} values", f"{dim} finite numbers")
    norm = float(np.linalg.norm(vector.astype(np.float64)))
    if not np.isfinite(norm) or norm == 0:
        raise QueryError("query.vector", f"has norm {norm}", f"{dim} finite numbers, not all zero")
    return np.asarray(vector / norm, dtype=np.float32)


def _rank(track_ids: NDArray[np.int64], cosines: NDArray[np.float32], excluded: set[int]) -> list[tuple[int, float]]:
    return [
        (int(track_id), float(np.clip((1 + float(cosine)) / 2, 0, 1)))
        for track_id, cosine in zip(track_ids, cosines, strict=True)
        if track_id >= 0 and int(track_id) not in excluded
    ]


def _shared(ours: Mapping[str, float], theirs: Mapping[str, float]) -> list[str]:
    strength = {tag: min(score, theirs.get(tag, 0.0)) for tag, score in ours.items()}
    shared = [tag for tag, score in strength.items() if score >= SHARED_TAG_SCORE]
    return sorted(shared, key=lambda tag: (-strength[tag], tag))[:SHARED_TAGS]


def _reason(results: Sequence[Result], matching: int, query: Query, dropped: Mapping[str, int]) -> str | None:
    if len(results) >= query.limit:
        return None
    if dropped.get("score_threshold") or dropped.get("deleted_meanwhile"):
        return "fewer tracks than asked for are left: see dropped"
    what = "match the filter" if query.filter else "can be found in this space"
    return f"only {matching} tracks {what}"
