"""What `soundalike evaluate` shows on a terminal."""

import math
from collections.abc import Mapping, Sequence
from functools import singledispatch
from pathlib import Path

from rich.table import Table

from api.cli.terminal import Screen, cell
from retrieval.counting import counted
from retrieval.evaluation.measures.significance import Difference, Interval
from retrieval.evaluation.results.runs import LISTWISE, AnnEvaluation, Evaluation, Latency, RunComparison, Subject
from retrieval.evaluation.results.spaces import (
    LabelledTracks,
    LargestHub,
    SpaceComparison,
    SpaceEvaluation,
)
from retrieval.evaluation.results.videos import VideoEvaluation

OVERALL = {
    "coverage": "item coverage",
    "gini": "Gini index",
    "entropy_bits": "entropy, bits",
    "occurrence_skew": "k-occurrence skew",
}
Result = Evaluation | RunComparison | AnnEvaluation | SpaceEvaluation | SpaceComparison
_NAME_WIDTH = 16
"""Characters that a name has at least, to stand on few lines."""
_BETWEEN = 3


def print_result(result: Result) -> None:
    """Show any result of an evaluation."""
    console = Screen()
    _print_tables(result, console)
    for warning in result.warnings:
        console.print(cell(f"note: {warning}", style="yellow"), soft_wrap=True)


@singledispatch
def _print_tables(result: object, console: Screen) -> None:
    raise TypeError(f"{type(result).__name__} is no result of an evaluation")


@_print_tables.register
def _print_evaluation(result: Evaluation, console: Screen) -> None:
    """An evaluation as two tables: accuracy, and what is beyond it."""
    subject = result.subject
    exact = ", exact" if subject.exact else ""
    title = (
        f"{_queries(result.queries)}, up to {counted(subject.depth, 'result')} each, "
        f"over {counted(subject.tracks, 'track')} of {subject.space} "
        f"({subject.encoder_version}), by {subject.granularity}{exact}"
    )
    table = _table(title, "metric", "mean", "95 % interval", "queries")
    for name, interval in result.metrics.items():
        lower = " (lower is better)" if name in result.lower_is_better else ""
        table.add_row(cell(name + lower), *_cells(interval))
    console.print(table)
    beyond = result.beyond_accuracy
    table = _table(f"beyond accuracy, first {beyond.k} results", "measure", "value", "95 % interval", "queries")
    for name, shown in OVERALL.items():
        table.add_row(shown, _number(getattr(beyond, name)), "", "")
    for name, shown in LISTWISE.items():
        table.add_row(shown, *_cells(getattr(beyond, name)))
    console.print(table)
    seconds = ", ".join(f"{name} {value:.2f} s" for name, value in result.seconds.items())
    unjudged = f"{100 * result.unjudged:.1f} % of the first {beyond.k} are unjudged; "
    console.print(("" if math.isnan(result.unjudged) else unjudged) + seconds)


@_print_tables.register
def _print_comparison(result: RunComparison, console: Screen) -> None:
    """Two runs side by side; a star where the corrected p is below 0.05."""
    title = f"{result.second} against {result.first}, {_queries(result.queries)}"
    _print_differences(console, title, ("first", "second"), result.metrics, result.lower_is_better)


@_print_tables.register
def _print_ann(result: AnnEvaluation, console: Screen) -> None:
    """ANN recall by selectivity."""
    subject = result.subject
    fewer = (
        ", or of all that match where those are fewer" if any(row.matching <= result.k for row in result.rows) else ""
    )
    title = (
        f"recall@{result.k}{fewer}, of {subject.space} against its exact twin, {_queries(result.queries)}, "
        f"{counted(subject.tracks, 'track')}, by {subject.granularity}"
    )
    times = "p50 / p95 / p99 ms"
    names = ("among", "tracks", "path", "id overlap", "tie-safe", f"within {1 + result.epsilon:g}×", "worst")
    rows = []
    for row in result.rows:
        selection = row.among if row.among != "random" else f"random {100 * row.share:.3g}\N{NO-BREAK SPACE}%"
        recalls = (_number(one.mean) for one in (row.id_overlap, row.tie_safe, row.epsilon))
        latencies = (_latency(one) for one in (row.latency, row.exact_latency))
        rows.append([selection, str(row.matching), row.path, *recalls, _number(row.worst), *latencies])
    _print_wide(console, title, [*names, times, f"exact, {times}"], rows)


@_print_tables.register
def _print_catalogue(result: SpaceEvaluation, console: Screen) -> None:
    """A space, by what needs no judgments."""
    subject = result.subject
    title = (
        f"{subject.space} ({subject.encoder_version}) without judgments, "
        f"{counted(subject.tracks, 'track')}, {counted(result.queries, 'asks', 'ask')}"
    )
    rows = []
    for name, interval in result.metrics.items():
        lower = " (lower is better)" if name in result.lower_is_better else ""
        value, bounds, count = _cells(interval)
        rows.append([name + lower, value, bounds, _number(result.chance[name]), count])
    _print_wide(console, title, ["metric", "value", "95 % interval", "by chance", "queries"], rows)
    if result.labels is not None:
        _print_labels(console, subject.space, result.labels)
    console.print(cell(_hub(subject, result.largest_hub)), soft_wrap=True)


@_print_tables.register
def _print_models(result: SpaceComparison, console: Screen) -> None:
    """Two spaces side by side, and the verdict; a star where the corrected p is below 0.05."""
    blue, green = result.blue, result.green
    title = (
        f"{green.space} ({green.encoder_version}) against {blue.space} ({blue.encoder_version}), "
        f"{counted(result.tracks, 'track')}, {counted(result.queries, 'asks', 'ask')}"
    )
    _print_differences(console, title, (blue.space, green.space), result.metrics, result.lower_is_better)
    table = _table("how alike the lists are", "measure", "mean", "95 % interval", "queries")
    table.add_row(f"overlap@{blue.depth}", *_cells(result.overlap))
    table.add_row("rank-biased overlap, p = 0.9", *_cells(result.rank_biased_overlap))
    console.print(table)
    for subject, labels in zip((blue, green), result.labels or (), strict=False):
        _print_labels(console, subject.space, labels)
    for subject, hub in zip((blue, green), result.largest_hubs, strict=True):
        console.print(cell(_hub(subject, hub)), soft_wrap=True)
    console.print(cell(result.verdict, style="bold"), soft_wrap=True)


def _print_labels(console: Screen, space: str, labels: LabelledTracks) -> None:
    """By label: the measures with their intervals, and which labels the nearest neighbours bear."""
    asked = f"{counted(labels.tracks, 'track')}, {counted(labels.queries, 'asks', 'ask')}"
    title = f"{space} by the labels of {labels.source}, {asked}"
    measures = list(labels.rows[0].metrics)
    names = ["label", "tracks", "by chance", *(part for one in measures for part in (one, "95 % interval"))]
    rows = []
    for row in labels.rows:
        cells = [cell for one in measures for cell in _cells(row.metrics[one])[:2]]
        rows.append([row.label, str(row.tracks), _number(row.chance[measures[0]]), *cells])
    _print_wide(console, f"{title}; by chance: {measures[0]}", names, rows)
    table = _table(f"{space}: labels of the nearest neighbours", "label", "its own")
    table.add_column("others", overflow="fold")
    for row in labels.rows:
        others = ", ".join(f"{label} {count}" for label, count in row.nearest.items() if label != row.label)
        table.add_row(cell(row.label), str(row.nearest.get(row.label, 0)), cell(others or "–"))
    console.print(table)


def print_videos(result: VideoEvaluation) -> None:
    """Clips that asked for their own music: how high it stood, what that is more than, and where it started."""
    console = Screen()
    counts = (
        f"{counted(result.clips, 'clip')} of {result.clip_s:g} s, of {counted(result.sources, 'source')}, "
        f"{counted(result.tracks, 'track')}"
    )
    for pooled in result.pools:
        size = f"{pooled.smallest}" if pooled.smallest == pooled.largest else f"{pooled.smallest} to {pooled.largest}"
        names = [f"recall@{k}" for k in pooled.chance]
        table = _table(f"{counts}: own music in pools of {size}", "by", *names, "median rank", show_lines=True)
        for name, one in pooled.rankings.items():
            recalls = [f"{_number(of.mean)}\n{_bounds(of)}" for of in one.recall.values()]
            table.add_row(name, *recalls, f"{one.median_rank:.1f}")
        table.add_row("chance", *map(_number, pooled.chance.values()), f"{pooled.chance_rank:.1f}")
        console.print(table)
        table = _table("how much more than baselines, paired by clip", "", *names, show_lines=True)
        for name, gained in pooled.gains.items():
            table.add_row(f"all − {name}", *(f"{of.mean:+.4f}\n{_bounds(of)}" for of in gained.values()))
        console.print(table)
    started = result.moments
    table = _table(
        f"where {counted(started.clips, 'clip starts', 'clips start')} in their own music",
        "measure",
        "found",
        "random start",
    )
    ratio = f"{started.ratio.mean:.2f} {_bounds(started.ratio)}".rstrip()  # of one source there are no bounds
    beats = "" if math.isnan(started.ratio.mean) else f" (ratio {ratio})"
    shares = f"cuts within 100 ms of a beat, {counted(started.cut_clips, 'clip')}{beats}"
    table.add_row(cell(shares), _number(started.cuts_on_beats), _number(started.by_chance))
    table.add_row("error of the start, s, median", _number(started.error_s), _number(started.error_by_chance_s))
    table.add_row("starts within 0.5 s", _number(started.close), _number(started.close_by_chance))
    table.add_row("mIoU with the true span", _number(started.overlap), _number(started.overlap_by_chance))
    console.print(table)
    for name, reason in result.left_out.items():
        console.print(cell(f"left out: {name}: {reason}", style="yellow"), soft_wrap=True)
    for warning in result.warnings:
        console.print(cell(f"note: {warning}", style="yellow"), soft_wrap=True)


def print_files(folder: Path, names: Sequence[str]) -> None:
    """What was written."""
    Screen(soft_wrap=True).print(f"{folder}: {', '.join(names)}")


def _print_differences(
    console: Screen,
    title: str,
    sides: tuple[str, str],
    metrics: Mapping[str, Difference],
    lower_is_better: Sequence[str],
) -> None:
    rows = []
    for name, one in metrics.items():
        lower = " (lower is better)" if name in lower_is_better else ""
        means = _number(one.first_mean), _number(one.second_mean)
        rows.append([name + lower, *means, *_difference(one), _number(one.p), _number(one.p_holm), *_effect(one)])
    names = ["metric", *sides, "difference", "95 % interval", "p", "p (Holm)", "d_z", "wins/ties/losses"]
    _print_wide(console, title, names, rows)


def _print_wide(console: Screen, title: str, names: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """A table none of whose figures is cut off: where it would not fit, two or more of them stand below each other."""
    most = len(names) - 1
    height = next(
        (n for n in range(1, most) if _width([_in_steps(row, n) for row in (names, *rows)]) <= console.width), most
    )
    table = _table(title, *_in_steps(names, height), show_lines=height > 1)
    for row in rows:
        first, *others = _in_steps(row, height)
        table.add_row(cell(first), *others)
    console.print(table)


def _width(rows: Sequence[Sequence[str]]) -> int:
    """What a table of these takes at least; its names may stand on several lines."""
    longest, *figures = [
        max(len(line) for text in column for line in text.split("\n")) for column in zip(*rows, strict=True)
    ]
    return min(longest, _NAME_WIDTH) + sum(figures) + _BETWEEN * (1 + len(figures))


def _in_steps(row: Sequence[str], height: int) -> list[str]:
    """The first cell, and every so many of the others as the lines of one."""
    return [row[0], *("\n".join(row[start : start + height]) for start in range(1, len(row), height))]


def _difference(one: Difference) -> tuple[str, str]:
    interval = one.difference
    if math.isnan(interval.mean):
        return "–", ""
    return f"{interval.mean:+.4f}{'*' if one.p_holm < 0.05 else ''}", f"{interval.low:+.4f} – {interval.high:+.4f}"


def _effect(one: Difference) -> tuple[str, str]:
    """Effect size, and wins, ties and losses; a metric of no single query has none."""
    if math.isnan(one.effect_size):
        return "–", "–"
    return f"{one.effect_size:+.2f}", f"{one.wins}/{one.ties}/{one.losses}"


def _hub(subject: Subject, hub: LargestHub) -> str:
    lists = f"{100 * hub.share:.1f} % of the lists of {subject.depth} ({hub.lists} of {hub.of})"
    return f"largest hub of {subject.space}: {hub.track}, in {lists}"


def _table(title: str, first: str, *others: str, show_lines: bool = False) -> Table:
    table = Table(title=cell(title), title_justify="left", pad_edge=False, show_lines=show_lines)
    table.add_column(first, overflow="fold")
    for name in others:
        table.add_column(name, justify="right", no_wrap=True)
    return table


def _cells(interval: Interval) -> tuple[str, str, str]:
    bounds = "" if not interval.count else f"{interval.low:.4f} – {interval.high:.4f}"
    return _number(interval.mean), bounds, str(interval.count)


def _bounds(interval: Interval) -> str:
    return "" if math.isnan(interval.low) else f"{interval.low:.2f} – {interval.high:.2f}"


def _queries(n: int) -> str:
    return counted(n, "query", "queries")


def _number(value: float) -> str:
    return "–" if math.isnan(value) else f"{value:.4f}"


def _latency(latency: Latency) -> str:
    if math.isnan(latency.p50_ms):
        return "–"
    return " / ".join(f"{value:.2f}" for value in (latency.p50_ms, latency.p95_ms, latency.p99_ms))
