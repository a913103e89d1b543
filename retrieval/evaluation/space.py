"""A space of the live catalogue, by what needs no judgments: halves, artists and albums, hubs; and labels of a folder.

Definitions and sources head `half_tracks`, `same_label` and `hubs`, and for a folder's labels `labelled`. Track vectors
and lists are those of the index, halves are made from the segments that PostgreSQL keeps. Every query is ranked against
all tracks that can be right or wrong: where only a sample asks, the others are still found.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from retrieval import counting
from retrieval.evaluation.errors import EvaluationError
from retrieval.evaluation.inputs.folder_labels import track_labels
from retrieval.evaluation.labelled import by_label, label_intervals, measure_labels
from retrieval.evaluation.measures import half_tracks, hubs, same_label
from retrieval.evaluation.measures.labels import named_album, named_artist, numbered
from retrieval.evaluation.measures.significance import bootstrap
from retrieval.evaluation.ranking import nearest_others, track_vectors
from retrieval.evaluation.results.runs import StepTimer, Subject
from retrieval.evaluation.results.spaces import LargestHub, SpaceEvaluation

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray

    from retrieval.catalog.reading import Catalog
    from retrieval.evaluation.inputs.folder_labels import FolderLabels
    from retrieval.evaluation.measures.half_tracks import HalfTracks, WithoutHalves
    from retrieval.evaluation.measures.significance import Interval
    from retrieval.index.protocol import IndexView
    from retrieval.search.engine import Search

SAMPLE = 10_000
HALF_KS = (1, 10)
SKEWNESS = f"hubness skewness@{hubs.K}"
NEVER_LISTED = "never listed"
LARGEST_HUB = "largest hub"
LOWER_IS_BETTER = (SKEWNESS, NEVER_LISTED, LARGEST_HUB)
STEPS = 4


@dataclass(frozen=True, eq=False)
class QuerySample:
    """Which tracks are queries, and among which they search.

    Attributes
    ----------
    track_ids : int64 [n] ascending, all that can be found
    rows : int64 [m] ascending, of the queries
    artists, albums : int64 [n], by number; −1 for none
    """

    track_ids: NDArray[np.int64]
    rows: NDArray[np.int64]
    artists: NDArray[np.int64]
    albums: NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class SpaceMeasures:
    """One space, measured.

    Attributes
    ----------
    per_query : float64 [m] by metric; NaN for a track that cannot ask
    chance : by metric
    lists : int64 [m, depth], the nearest others of every track that asks
    seconds : by step
    """

    per_query: Mapping[str, NDArray[np.float64]]
    chance: Mapping[str, float]
    hubs: hubs.Hubs
    lists: NDArray[np.int64]
    seconds: Mapping[str, float] = field(default_factory=dict)


def evaluate_space(
    search: Search,
    *,
    space: str | None = None,
    labels: FolderLabels | None = None,
    sample: int = SAMPLE,
    seed: int = 0,
    on_done: Callable[[int, int], None] = lambda done, total: None,
) -> SpaceEvaluation:
    """Measure one space.

    Parameters
    ----------
    labels : of the user's own, to measure by as well
    sample : at most so many tracks ask, and at most so many labelled ones
    seed : of the sample and of the bootstrap
    on_done : called with how many steps are done, of how many

    Raises
    ------
    EvaluationError
        If the space holds fewer than two tracks, or no segment; if fewer than two labels have two tracks.
    IndexMissingError, IndexMismatchError
    """
    index = search.space(space)
    view = index.view()
    drawn = draw_queries(search.catalog, view.all_track_ids(), sample, seed, f"space {index.space!r} holds")
    labelled = None if labels is None else track_labels(search.catalog, labels, drawn.track_ids, [index.space])
    halves = halves_of(search.catalog, index.space, view, drawn.track_ids)
    on_done(1, STEPS)
    measures = measure_space(view, halves, drawn, on_done=lambda done, _: on_done(1 + done, STEPS))
    metrics = intervals(measures, seed)
    result = SpaceEvaluation(
        subject_of(index.space, view, hubs.K),
        len(drawn.rows),
        metrics,
        measures.chance,
        LOWER_IS_BETTER,
        largest_hub(search.catalog, measures.hubs),
        halves.without,
        int((drawn.artists < 0).sum()),
        int((drawn.albums < 0).sum()),
        warnings_of(halves.without, metrics),
        measures.seconds,
    )
    if labelled is None:
        return result
    found = measure_labels(view, labelled, sample, seed)
    return replace(
        result,
        metrics={**metrics, **label_intervals(found, seed)},
        chance={**measures.chance, **found.chance},
        warnings=[*result.warnings, *labelled.warnings],
        labels=by_label(found, seed),
    )


def draw_queries(catalog: Catalog, track_ids: NDArray[np.int64], sample: int, seed: int, holder: str) -> QuerySample:
    """Draw who asks of these tracks, int64 ascending.

    Raises
    ------
    EvaluationError
        If there are fewer than two: what `holder` names holds too few.
    """
    n = len(track_ids)
    if n < 2:
        raise EvaluationError(f"{holder} {n} track{'' if n == 1 else 's'}: nothing has a neighbour", "at least 2")
    rows = np.arange(n)
    if sample < n:
        rows = np.sort(np.random.default_rng(seed).choice(n, size=sample, replace=False))
    labels = catalog.labels(track_ids)
    known_labels = [labels.get(track_id) for track_id in track_ids.tolist()]
    return QuerySample(track_ids, rows, numbered(known_labels, named_artist), numbered(known_labels, named_album))


def halves_of(catalog: Catalog, space: str, view: IndexView, track_ids: NDArray[np.int64]) -> HalfTracks:
    """The halves of these tracks.

    Raises
    ------
    EvaluationError
        If none of them has a segment.
    """
    halves = half_tracks.read_halves(catalog, space, view.encoder_version, track_ids)
    if halves.without.without_segments == len(track_ids):
        reason = f"space {space!r}: none of its {len(track_ids)} tracks has a segment, so none has halves"
        raise EvaluationError(
            reason, f"tracks whose segments are stored; `soundalike index --space {space}` stores them"
        )
    return halves


def measure_space(
    view: IndexView,
    halves: HalfTracks,
    drawn: QuerySample,
    *,
    depth: int = hubs.K,
    on_done: Callable[[int, int], None] = lambda done, total: None,
) -> SpaceMeasures:
    """Measure one space on the tracks of a sample.

    Parameters
    ----------
    depth : of the lists, `hubs.K` at least
    on_done : called with how many of three steps are done
    """
    timer = StepTimer()
    per_query, chance = _half_tracks(halves, drawn)
    timer.lap("halves")
    on_done(1, 3)
    vectors = track_vectors(view, drawn.track_ids)
    for name, labels, apart in (
        ("same artist", drawn.artists, None),
        ("same artist on other albums", drawn.artists, drawn.albums),
        ("same album", drawn.albums, None),
    ):
        places = same_label.placed(vectors, labels, drawn.rows, apart=apart)
        measured = same_label.values(places, same_label.OF_ARTISTS)
        levels = same_label.by_chance(places, same_label.OF_ARTISTS)
        per_query |= {f"{name} {measure}": values for measure, values in measured.items()}
        chance |= {f"{name} {measure}": level for measure, level in levels.items()}
    timer.lap("labels")
    on_done(2, 3)
    among = None if len(drawn.track_ids) == view.count else view.select(drawn.track_ids)
    lists, _ = nearest_others(view, drawn.track_ids[drawn.rows], vectors[drawn.rows], depth, among=among)
    counted = hubs.Hubs(lists[:, : hubs.K], drawn.track_ids)
    chance[SKEWNESS], chance[NEVER_LISTED] = hubs.by_chance(len(lists), len(drawn.track_ids))
    chance[LARGEST_HUB] = float("nan")
    timer.lap("neighbours")
    on_done(3, 3)
    return SpaceMeasures(per_query, chance, counted, lists, timer.seconds)


def intervals(measures: SpaceMeasures, seed: int) -> dict[str, Interval]:
    """Every metric with its interval."""
    over_queries = dict(measures.per_query) | {LARGEST_HUB: measures.hubs.holds_largest}
    means = bootstrap(np.stack(list(over_queries.values()), axis=1), seed=seed)
    metrics = dict(zip(over_queries, means, strict=True))
    hub = metrics.pop(LARGEST_HUB)
    never = bootstrap(measures.hubs.never_listed[:, np.newaxis], seed=seed)[0]
    skewness = hubs.skewness_interval(measures.hubs.counts, seed=seed)
    return metrics | {SKEWNESS: skewness, NEVER_LISTED: never, LARGEST_HUB: hub}


def subject_of(space: str, view: IndexView, depth: int) -> Subject:
    """What was measured."""
    return Subject(space, "track", view.encoder_version, view.version, view.count, depth, exact=False)


def largest_hub(catalog: Catalog, counted: hubs.Hubs) -> LargestHub:
    """The largest hub by its key."""
    track_id, count = counted.largest
    labels = catalog.labels(np.array([track_id], np.int64))
    return LargestHub(labels[track_id].key, count, len(counted.lists))


def warnings_of(without: WithoutHalves, metrics: Mapping[str, Interval]) -> list[str]:
    """What could not be measured, and why."""
    warnings = []
    left_out = {
        ("has no segment", "have no segment"): without.without_segments,
        ("has a single segment", "have a single segment"): without.of_one_segment,
        (
            "has no segment that lies wholly in each half",
            "have no segment that lies wholly in each half",
        ): without.without_a_whole_half,
    }
    for (has, have), count in left_out.items():
        if count:
            what = counting.counted(count, f"track {has}", f"tracks {have}")
            warnings.append(f"{what}: half-track retrieval leaves {'it' if count == 1 else 'them'} out")
    for name in ("same artist", "same artist on other albums", "same album"):
        if not metrics[f"{name} mAP"].count:
            warnings.append(f"{name}: no track that asks shares one with another track that can be found")
    return warnings


def _half_tracks(halves: HalfTracks, drawn: QuerySample) -> tuple[dict[str, NDArray[np.float64]], dict[str, float]]:
    n = len(halves.track_ids)
    query_ids = drawn.track_ids[drawn.rows]
    place = np.minimum(np.searchsorted(halves.track_ids, query_ids), max(n - 1, 0))
    has_halves = halves.track_ids[place] == query_ids if n else np.zeros(len(query_ids), bool)
    ranks = np.full(len(query_ids), np.nan)
    ranks[has_halves] = half_tracks.ranks_of_own_half(halves.first, halves.second, place[has_halves])
    values = {f"half-track recall@{k}": np.where(has_halves, ranks <= k, np.nan) for k in HALF_KS}
    chance = {f"half-track recall@{k}": half_tracks.recall_by_chance(k, n) for k in HALF_KS}
    values["half-track MRR"], chance["half-track MRR"] = 1 / ranks, half_tracks.reciprocal_rank_by_chance(n)
    return values, chance
