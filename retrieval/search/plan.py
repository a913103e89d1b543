"""From what was asked to what is searched: examples become vectors, keys become ids, a filter becomes a selection."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from retrieval.errors import IndexMismatchError, MissingEmbeddingError, QueryError, UnknownTrackError
from retrieval.search import recommend
from retrieval.search.sections import with_spans

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from retrieval.catalog.reading import Catalog
    from retrieval.catalog.records import Track
    from retrieval.catalog.tracks import TrackCache
    from retrieval.errors import Place
    from retrieval.filters.compiled import Selections
    from retrieval.index.protocol import IndexView, Selection
    from retrieval.index.space import SpaceIndex
    from retrieval.search.query import Query, Seed
    from retrieval.search.recommend import Example

FEW_EXCLUDED = 100


@dataclass(frozen=True)
class Plan:
    """A query, resolved against one view of its space.

    Attributes
    ----------
    seeds : the examples that are tracks, by key
    excluded : tracks that the caller does not want
    unknown : keys of tracks to exclude, or that played before, which no track has
    selection : what the search may return; none for all
    dropped : tracks that match and are excluded, beside the examples that must not come back
    matching_left_out : how many of the tracks that the search counts must not come back
    """

    query: Query
    space: str
    view: IndexView
    positive: Sequence[Example]
    negative: Sequence[Example]
    seeds: Mapping[str, Track]
    excluded: frozenset[int]
    unknown: Sequence[str] = ()
    selection: Selection | None = None
    dropped: int = 0
    matching_left_out: int = 0

    @cached_property
    def examples_left_out(self) -> frozenset[int]:
        """Examples that must not come back."""
        return frozenset() if self.query.include_seed else frozenset(seed.id for seed in self.seeds.values())

    @property
    def left_out(self) -> frozenset[int]:
        """Tracks that must not come back."""
        return self.excluded | self.examples_left_out


def resolve(query: Query, index: SpaceIndex, view: IndexView, catalog: Catalog, tracks: TrackCache) -> Plan:
    """Everything of a query but its filter.

    Raises
    ------
    UnknownTrackError, MissingEmbeddingError, NotAnalysedError, IndexMismatchError, QueryError
    """
    seeds = _seeds(query, catalog, tracks)
    query = with_spans(query, seeds, catalog)
    resolver = _Resolver(view, index.space, catalog, seeds)
    positive = [resolver.example(seed, ("positive", number)) for number, seed in enumerate(query.positive)]
    negative = [resolver.example(seed, ("negative", number)) for number, seed in enumerate(query.negative)]
    if query.half_life is not None:
        weights = recommend.recency_weights(len(positive), query.half_life)
        positive = [replace(one, weight=one.weight * weight) for one, weight in zip(positive, weights, strict=True)]
    named = list(dict.fromkeys([*query.exclude, *(query.context.previous if query.context else ())]))
    ids = catalog.ids_by_key(named) if named else {}
    excluded = frozenset(ids[key] for key in query.exclude if key in ids)
    unknown = [key for key in named if key not in ids]
    return Plan(query, index.space, view, positive, negative, seeds, excluded, unknown)


def with_filter(plan: Plan, selections: Selections, name: str) -> Plan:
    """The plan with what may be returned; `name` is that of the index.

    Raises
    ------
    FilterError
    """
    query, left_out = plan.query, plan.left_out
    if query.filter is not None:
        plan = replace(plan, selection=selections.of(query.filter, plan.view, name))
    dropped = _count_of(plan, plan.excluded - plan.examples_left_out)
    if len(left_out) <= FEW_EXCLUDED:
        return replace(plan, dropped=dropped, matching_left_out=_count_of(plan, left_out))
    matching = None if query.filter is None else selections.matching(query.filter)
    without = np.fromiter(left_out, np.int64, len(left_out))
    return replace(plan, dropped=dropped, selection=plan.view.select(matching, without=without))


def _count_of(plan: Plan, track_ids: frozenset[int]) -> int:
    """How many of these tracks the search is about."""
    if not track_ids:
        return 0
    ids = np.sort(np.fromiter(track_ids, np.int64, len(track_ids)))
    return plan.view.select(ids).matching if plan.selection is None else plan.selection.count_of(ids)


def _seeds(query: Query, catalog: Catalog, tracks: TrackCache) -> dict[str, Track]:
    places: dict[str, Place] = {}
    for side, seeds in (("positive", query.positive), ("negative", query.negative)):
        for number, seed in enumerate(seeds):
            if seed.track is not None:
                places.setdefault(seed.track, (side, number))
    known = tracks.by_key(list(places))
    for key, place in places.items():
        if key not in known:
            raise UnknownTrackError(key, catalog.nearest_keys(key), place)
    return known


@dataclass(frozen=True)
class _Resolver:
    """Makes vectors of examples, in one view of a space."""

    view: IndexView
    space: str
    catalog: Catalog
    seeds: Mapping[str, Track]

    def example(self, seed: Seed, place: Place) -> Example:
        """The example as a vector; `place` is where it is in the query."""
        view = self.view
        if seed.track is None:
            if seed.encoder_version not in (None, view.encoder_version):
                raise IndexMismatchError(
                    f"the query was encoded by {seed.encoder_version}, the index holds {view.encoder_version}: "
                    "index the catalogue again with the new weights"
                )
            assert seed.vector is not None  # Seed.check
            return recommend.Example(_unit(seed.vector, view.dim, place), seed.weight, "vector")
        track = self.seeds[seed.track]
        if seed.span_s is not None:
            asked_by = "section" if seed.section else "start_s"
            vector = self._span_vector(track, seed.span_s, asked_by, place)
            return recommend.Example(vector, seed.weight, track.key)
        vectors = vectors_of(track, view)
        vector = vectors[0] if len(vectors) == 1 else _unit(vectors.mean(axis=0), view.dim, place)
        return recommend.Example(vector, seed.weight, track.key)

    def _span_vector(
        self, track: Track, span_s: tuple[float, float], asked_by: str, place: Place
    ) -> NDArray[np.float32]:
        """The mean of the segments that the span touches; `asked_by` is the field that says which span."""
        segments = self.catalog.segments_of([track.id], self.space, self.view.encoder_version).get(track.id)
        if segments is None:
            raise MissingEmbeddingError(
                f"track {track.key!r} has no segments of {self.view.encoder_version} yet: index it in this space"
            )
        touched = segments.touching(*span_s)
        if not len(touched.vectors):
            sounding = f"0 to {float(segments.ends_s.max()):.1f}, where the track is not silent"
            accepted = "a section in which the track is not silent" if asked_by == "section" else sounding
            reason = f"no segment of {track.key!r} lies in {span_s[0]:.5g}–{span_s[1]:.5g} s"
            raise QueryError(asked_by, reason, accepted, place)
        return _unit(touched.vectors.mean(axis=0), self.view.dim, place)


def vectors_of(track: Track, view: IndexView) -> NDArray[np.float32]:
    """The track's vectors in a view, float32 [n, dim], at least one.

    Raises
    ------
    MissingEmbeddingError
        If there is none.
    """
    vectors = view.vectors(view.vector_ids(np.array([track.id], np.int64)))
    if not len(vectors) and track.missing_since is not None:
        raise MissingEmbeddingError(
            f"the file of track {track.key!r} is missing, so no index holds it: index its folder when it is back"
        )
    if not len(vectors):
        raise MissingEmbeddingError(
            f"track {track.key!r} has no embedding of {view.encoder_version} yet: index it in this space"
        )
    return vectors


def _unit(vector: NDArray[np.float32], dim: int, place: Place) -> NDArray[np.float32]:
    if vector.shape != (dim,):
        raise QueryError("vector", f"has {vector.size} values", f"{dim} finite numbers", place)
    norm = float(np.linalg.norm(vector.astype(np.float64)))
    if not np.isfinite(norm) or norm == 0:
        raise QueryError("vector", f"has norm {norm}", f"{dim} finite numbers, not all zero", place)
    return np.asarray(vector / norm, dtype=np.float32)
