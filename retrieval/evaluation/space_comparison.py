"""Two spaces side by side on the same tracks, before the one in use (blue) gives way to the other (green).

Both are measured as `catalogue` measures one, among the tracks that both hold, with the same queries; a half counts
where the track has both in both spaces. Differences are paired by query (whether a track is never listed: by track),
with the tests of `significance`, corrected by Holm for all the metrics at once. Judgments, where there are any, are of
tracks as queries, ranked among the same tracks; labels of a folder are those of the tracks that both hold.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from retrieval.counting import counted
from retrieval.evaluation.errors import EvaluationError
from retrieval.evaluation.inputs.folder_labels import track_labels
from retrieval.evaluation.inputs.judgments import judged, known_ids
from retrieval.evaluation.labelled import by_label, measure_labels
from retrieval.evaluation.measures import hubs, metrics, overlap
from retrieval.evaluation.measures.significance import Difference, bootstrap, holm_corrected, paired
from retrieval.evaluation.ranking import nearest_others, track_vectors
from retrieval.evaluation.results.spaces import SpaceComparison
from retrieval.evaluation.space import (
    LARGEST_HUB,
    LOWER_IS_BETTER,
    NEVER_LISTED,
    SAMPLE,
    SKEWNESS,
    QuerySample,
    SpaceMeasures,
    draw_queries,
    halves_of,
    largest_hub,
    measure_space,
    subject_of,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

    from retrieval.catalog.reading import Catalog
    from retrieval.evaluation.inputs.folder_labels import FolderLabels
    from retrieval.evaluation.inputs.judgments import Judgments
    from retrieval.evaluation.inputs.pairs import Pairs
    from retrieval.evaluation.measures.metrics import Metric
    from retrieval.evaluation.measures.significance import Interval
    from retrieval.index.protocol import IndexView
    from retrieval.search.engine import Search

LIST_DEPTH = 50
"""Of the lists that are compared: 99 % of the weight of rank-biased overlap lies within."""
JUDGED_DEPTH = 100
ALPHA = 0.05
STEPS = 8


def compare_spaces(
    search: Search,
    blue: str,
    green: str,
    *,
    qrels: Pairs | None = None,
    names: Sequence[str] = metrics.DEFAULT,
    labels: FolderLabels | None = None,
    sample: int = SAMPLE,
    seed: int = 0,
    on_done: Callable[[int, int], None] = lambda done, total: None,
) -> SpaceComparison:
    """Compare two spaces.

    Parameters
    ----------
    qrels : judgments, whose query ids are keys of tracks
    names : metrics of the judgments, by ir_measures' names
    labels : of the user's own, to measure by as well
    sample : at most so many tracks ask, and at most so many labelled ones
    on_done : called with how many steps are done, of how many

    Raises
    ------
    EvaluationError
        If the spaces are one, share fewer than two tracks, or one of them holds no segment; for judgments that cannot
        be used, and unknown metrics; if fewer than two labels have two tracks in both.
    IndexMissingError, IndexMismatchError
    """
    if blue == green:
        raise EvaluationError(f"BLUE and GREEN are both {blue!r}", "two spaces, such as soundalike soundalike-next")
    requested = metrics.parsed(names, JUDGED_DEPTH)
    spaces = blue, green
    views = [search.space(name).view() for name in spaces]
    every_id = [view.all_track_ids() for view in views]
    shared = np.intersect1d(every_id[0], every_id[1])
    drawn = draw_queries(search.catalog, shared, sample, seed, f"spaces {blue!r} and {green!r} share")
    notes = _alone(spaces, every_id, len(shared))
    judged_by, lower = dict[str, Difference](), [*LOWER_IS_BETTER]
    if qrels is not None:
        judged_by, left_out = _judged(search.catalog, qrels, views, shared, requested, seed)
        notes += left_out
        lower += [metric.name for metric in requested if metric.lower_is_better]
    labelled = None if labels is None else track_labels(search.catalog, labels, shared, spaces)
    sides = _measured(search.catalog, spaces, views, drawn, on_done)
    differences = _differences(*sides, seed=seed) | judged_by
    chance, by_labels = dict(sides[0].chance), None
    if labelled is not None:
        blue_labels, green_labels = (measure_labels(view, labelled, sample, seed) for view in views)
        differences |= _paired(blue_labels.metrics, green_labels.metrics, seed=seed)
        chance |= blue_labels.chance
        by_labels = by_label(blue_labels, seed), by_label(green_labels, seed)
        notes += labelled.warnings
    differences = holm_corrected(differences)
    overlap_at, biased = _alike(sides[0].lists, sides[1].lists, len(shared), seed)
    on_done(STEPS, STEPS)
    return SpaceComparison(
        blue=subject_of(blue, views[0], hubs.K),
        green=subject_of(green, views[1], hubs.K),
        tracks=len(shared),
        only_blue=len(every_id[0]) - len(shared),
        only_green=len(every_id[1]) - len(shared),
        queries=len(drawn.rows),
        metrics=differences,
        chance=chance,
        lower_is_better=lower,
        overlap=overlap_at,
        rank_biased_overlap=biased,
        largest_hubs=(largest_hub(search.catalog, sides[0].hubs), largest_hub(search.catalog, sides[1].hubs)),
        verdict=verdict(blue, green, differences, lower),
        source="" if qrels is None else qrels.source,
        warnings=notes,
        seconds={
            f"{name}, {step}": s for name, one in zip(spaces, sides, strict=True) for step, s in one.seconds.items()
        },
        labels=by_labels,
    )


def verdict(blue: str, green: str, differences: Mapping[str, Difference], lower_is_better: Sequence[str]) -> str:
    """What the differences say, and no more: where p, corrected, is below 0.05 one is better, elsewhere none is shown.

    Parameters
    ----------
    differences : of green from blue, by metric
    """
    better: dict[str, list[str]] = {green: [], blue: []}
    unclear, unmeasured = [], []
    for name, one in differences.items():
        if np.isnan(one.p):
            unmeasured.append(name)
        elif one.p_holm >= ALPHA:
            unclear.append(name)
        else:
            winner = green if (one.difference.mean > 0) != (name in lower_is_better) else blue
            better[winner].append(f"{name} by {_gain(one)}")
    parts = [f"{name} better on {'; '.join(gains)}" for name, gains in better.items() if gains]
    parts += [f"no difference shown on {', '.join(unclear)}"] if unclear else []
    parts += [f"not measured: {', '.join(unmeasured)}"] if unmeasured else []
    return "; ".join(parts)


def _gain(one: Difference) -> str:
    """The size of a difference, whoever has it."""
    sign = 1 if one.difference.mean >= 0 else -1
    low, high = sorted((sign * one.difference.low, sign * one.difference.high))
    return f"{sign * one.difference.mean:.3f} [{low:.3f}, {high:.3f}], p {one.p_holm:.2g}"


def _measured(
    catalog: Catalog,
    spaces: tuple[str, str],
    views: Sequence[IndexView],
    drawn: QuerySample,
    on_done: Callable[[int, int], None],
) -> list[SpaceMeasures]:
    both = [halves_of(catalog, name, view, drawn.track_ids) for name, view in zip(spaces, views, strict=True)]
    on_done(1, STEPS)
    halved = np.intersect1d(both[0].track_ids, both[1].track_ids)
    sides = []
    for number, (view, halves) in enumerate(zip(views, both, strict=True)):
        before = 1 + 3 * number
        sides.append(
            measure_space(
                view,
                halves.of_tracks(halved),
                drawn,
                depth=LIST_DEPTH,
                on_done=lambda done, _, before=before: on_done(before + done, STEPS),  # type: ignore[misc]
            )
        )
    return sides


def _differences(blue: SpaceMeasures, green: SpaceMeasures, *, seed: int) -> dict[str, Difference]:
    differences = _paired(blue.per_query, green.per_query, seed=seed)
    differences[SKEWNESS] = hubs.compare_skewness(blue.hubs, green.hubs, seed=seed)
    differences[NEVER_LISTED] = paired(blue.hubs.never_listed, green.hubs.never_listed, seed=seed)
    differences[LARGEST_HUB] = paired(blue.hubs.holds_largest, green.hubs.holds_largest, seed=seed)
    return differences


def _paired(
    blue: Mapping[str, NDArray[np.float64]], green: Mapping[str, NDArray[np.float64]], *, seed: int
) -> dict[str, Difference]:
    return {name: paired(blue[name], green[name], seed=seed) for name in blue}


def _alike(first: NDArray[np.int64], second: NDArray[np.int64], n_tracks: int, seed: int) -> tuple[Interval, Interval]:
    """Overlap of the first `hubs.K`, and rank-biased overlap, of lists [n, depth] of all others or of the nearest."""
    depth = min(first.shape[1], n_tracks - 1)  # nothing is behind the end
    common = overlap.common_by_depth(first[:, :depth], second[:, :depth])
    values = np.stack([overlap.overlap_at(hubs.K, common), overlap.rank_biased_overlap(common)], axis=1)
    overlap_at, biased = bootstrap(values, seed=seed)
    return overlap_at, biased


def _judged(
    catalog: Catalog,
    qrels: Pairs,
    views: Sequence[IndexView],
    shared: NDArray[np.int64],
    requested: Sequence[Metric],
    seed: int,
) -> tuple[dict[str, Difference], list[str]]:
    """Differences by judgments of tracks that both spaces hold, and what had to be left out."""
    known = known_ids(catalog, list(dict.fromkeys((*qrels.query_ids, *qrels.document_ids))), shared)
    judgments = judged(qrels, known, {key: [known[key]] for key in qrels.query_ids if key in known})
    query_ids = np.array([known[key] for key in judgments.query_ids], np.int64)
    blue, green = (_judged_values(view, shared, judgments, query_ids, requested) for view in views)
    notes = []
    unknown = judgments.left_out.unknown_queries, judgments.left_out.unknown_documents
    for ids, what in zip(unknown, ("queries", "documents"), strict=True):
        if ids:
            notes.append(f"{len(ids)} {what} are not in both spaces and were left out, such as {ids[0]!r}")
    if judgments.left_out.without_relevant:
        notes.append(f"{len(judgments.left_out.without_relevant)} queries have no relevant track and do not count")
    return _paired(blue, green, seed=seed), notes


def _judged_values(
    view: IndexView,
    shared: NDArray[np.int64],
    judgments: Judgments,
    query_ids: NDArray[np.int64],
    requested: Sequence[Metric],
) -> dict[str, NDArray[np.float64]]:
    order = np.argsort(query_ids)
    vectors = np.empty((len(query_ids), view.dim), np.float32)
    vectors[order] = track_vectors(view, query_ids[order])
    among = None if len(shared) == view.count else view.select(shared)
    lists, _ = nearest_others(view, query_ids, vectors, JUDGED_DEPTH, among=among)
    looked_up = metrics.ranked(lists, judgments.query_no, judgments.track_ids, judgments.relevance)
    return metrics.evaluate(looked_up, requested)


def _alone(spaces: tuple[str, str], every_id: Sequence[NDArray[np.int64]], n_shared: int) -> list[str]:
    counts = {name: len(ids) - n_shared for name, ids in zip(spaces, every_id, strict=True)}
    return [
        f"{counted(count, f'track is in {name} alone and was', f'tracks are in {name} alone and were')} left out"
        for name, count in counts.items()
        if count
    ]
