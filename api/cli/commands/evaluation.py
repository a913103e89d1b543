"""How good are the answers: `evaluate run`, `compare`, `ann`, `video`; and the spaces: `catalogue`, `models`."""

import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from api.cli import tables
from api.cli.commands.evaluation_report import report
from api.cli.commands.reencoding import say
from api.cli.lazy import Group
from api.cli.options import (
    FAILED_FILES,
    filter_of,
    filter_option,
    granularity_option,
    json_option,
    opened,
    print_json,
    space_option,
)
from api.cli.usage.values import (
    SEED,
    Choice,
    NewFile,
    NewFolder,
    Number,
    ReadableFile,
    ReadableFolder,
    ReadableRun,
    Whole,
)
from retrieval.search.query import MAX_EXAMPLES, MAX_LIMIT

if TYPE_CHECKING:
    from api.cli.evaluation_tables import Result
    from retrieval.evaluation.inputs.folder_labels import FolderLabels

a_file = ReadableFile()
out_option = click.option("--out", type=NewFolder(), help="A folder for the results.")
seed_option = click.option("--seed", type=SEED, default=0, show_default=True, help="Of everything that is drawn.")


def _known(names: tuple[str, ...]) -> tuple[str, ...]:
    """Metrics, all of which there are: what is mistyped is said before a file is read."""
    if names:
        from retrieval.evaluation.measures.metrics import parsed

        parsed(names, depth=sys.maxsize)
    return names


metric_option = click.option(
    "--metric",
    "metrics",
    multiple=True,
    callback=lambda context, option, given: _known(given),
    help="By ir_measures' names (nDCG@10, R@100, AP, …), or clicks; repeatable.",
)
sample_option = click.option(
    "--sample", type=Whole(2), default=10_000, show_default=True, help="At most so many tracks ask, drawn."
)

labels_option = click.option(
    "--labels-from",
    "labels_folder",
    metavar="FOLDER",
    type=ReadableFolder(),
    help="Labels of your own, such as genres or moods: FOLDER holds label/file of what is indexed, wherever that lies.",
)


@click.group(cls=Group)
def evaluate() -> None:
    """Measure how good the answers are: against judgments, another run, exact search, or another space."""


evaluate.add_command(report)


@evaluate.command()
@click.option("--qrels", type=a_file, help="Judgments: TREC (also .gz), .json, or .parquet.")
@click.option("--interactions", type=a_file, help="Parquet with user_id, item_id, timestamp, in place of --qrels.")
@click.option("--queries", type=a_file, help="JSON Lines; without, each query id is a track's key.")
@click.option("--split", type=Choice(["temporal", "leave-last-out"]), default="temporal", show_default=True)
@click.option("--cut", help="The moment of the split, as the file has it or in ISO 8601 (default: 80 % lie before).")
@click.option(
    "--history",
    type=Whole(1, MAX_EXAMPLES),
    default=MAX_EXAMPLES,
    show_default=True,
    help="How many of a user's last items are the query.",
)
@click.option("--half-life", type=Number(0, min_open=True), help="Items after which a history counts half.")
@click.option(
    "--unknown",
    type=Choice(["exclude", "miss", "fail"]),
    default="exclude",
    show_default=True,
    help="What becomes of ids that the space does not hold.",
)
@metric_option
@click.option("--depth", type=Whole(1, MAX_LIMIT), default=100, show_default=True, help="Results a query.")
@filter_option
@space_option
@granularity_option
@click.option("--exact", is_flag=True, help="Score everything: what the index would be worth without approximation.")
@out_option
@seed_option
@json_option
def run(out: Path | None, as_json: bool, **given: Any) -> None:
    """Ask the live index every query and compare its answers with judgments."""
    from api.cli.evaluation_inputs import RunOptions  # pyarrow and the evaluator: no other command waits for them
    from retrieval.evaluation.results.files import write_run
    from retrieval.evaluation.run import evaluate as evaluated

    chosen = RunOptions(**given)
    chosen.check()
    with opened() as here, tables.progress("queries", quiet=as_json) as done:
        qrels, queries, options = chosen.inputs(here)
        outcome = evaluated(here.search, qrels, queries, options, on_done=done)
        _shown(outcome.evaluation, out, lambda folder: write_run(folder, outcome, here.catalog), as_json=as_json)


@evaluate.command()
@click.argument("first", metavar="RUN_A", type=ReadableRun())
@click.argument("second", metavar="RUN_B", type=ReadableRun())
@click.option("--qrels", type=a_file, required=True, help="Judgments: TREC (also .gz), .json, or .parquet.")
@metric_option
@out_option
@seed_option
@json_option
def compare(
    first: Path, second: Path, qrels: Path, metrics: Sequence[str], out: Path | None, seed: int, as_json: bool
) -> None:
    """Set RUN_B against RUN_A, query by query: differences, how sure they are, and how large.

    Each is a run, or a folder with one, as `evaluate run --out` writes it.
    """
    from retrieval.evaluation.inputs.formats import read_qrels, read_run
    from retrieval.evaluation.measures.metrics import DEFAULT
    from retrieval.evaluation.results.files import write_comparison
    from retrieval.evaluation.run_comparison import compare_runs

    compared = compare_runs(read_run(first), read_run(second), read_qrels(qrels), names=metrics or DEFAULT, seed=seed)
    _shown(compared.comparison, out, lambda folder: write_comparison(folder, compared), as_json=as_json)


@evaluate.command()
@click.option("-k", "--k", "k", type=Whole(1, MAX_LIMIT), default=10, show_default=True, help="Neighbours.")
@click.option("--queries", type=Whole(1), default=1_000, show_default=True, help="Tracks that ask.")
@click.option("--timed", type=Whole(1), default=300, show_default=True, help="Of these, asked one at a time.")
@click.option(
    "--share",
    "shares",
    type=Number(0, 1, min_open=True, max_open=True),
    multiple=True,
    help="Share of the tracks that match, drawn; repeatable.",
)
@click.option("--filter", "conditions", multiple=True, help="A filter as JSON; repeatable.")
@click.option("--epsilon", type=Number(0), default=0.01, show_default=True)
@space_option
@granularity_option
@out_option
@seed_option
@json_option
def ann(shares: Sequence[float], conditions: Sequence[str], out: Path | None, as_json: bool, **given: Any) -> None:
    """Measure what the approximate index loses against exact search, and how fast both are."""
    from retrieval.evaluation.ann_recall import SHARES, evaluate_ann
    from retrieval.evaluation.results.files import write_results

    filters = {raw: condition for raw in conditions if (condition := filter_of(raw)) is not None}
    with opened() as here, tables.progress("selectivities", quiet=as_json) as done:
        result = evaluate_ann(here.search, shares=shares or SHARES, filters=filters, on_done=done, **given)
    _shown(result, out, lambda folder: write_results(folder, result), as_json=as_json)


@evaluate.command()
@space_option
@labels_option
@sample_option
@out_option
@seed_option
@json_option
def catalogue(labels_folder: Path | None, out: Path | None, as_json: bool, **given: Any) -> None:
    """Measure a space without judgments: by halves of tracks, artists and albums, hubs, and labels of your own."""
    from retrieval.evaluation.results.files import write_results
    from retrieval.evaluation.space import evaluate_space

    labels = _labels_in(labels_folder, quiet=as_json)
    with opened() as here, tables.progress("steps", quiet=as_json) as done:
        result = evaluate_space(here.search, labels=labels, on_done=done, **given)
    _shown(result, out, lambda folder: write_results(folder, result), as_json=as_json)


@evaluate.command()
@click.argument("blue")
@click.argument("green")
@click.option("--qrels", "judgments", type=a_file, help="Judgments, too: TREC (also .gz), .json, or .parquet.")
@metric_option
@labels_option
@sample_option
@out_option
@seed_option
@json_option
def models(
    judgments: Path | None,
    metrics: Sequence[str],
    labels_folder: Path | None,
    out: Path | None,
    as_json: bool,
    **given: Any,
) -> None:
    """Set the space GREEN against the space BLUE, on the tracks that both hold, before it takes its place."""
    if metrics and judgments is None:
        raise click.UsageError("--metric goes with --qrels")
    if given["blue"] == given["green"]:
        raise click.UsageError(f"BLUE and GREEN are both {given['blue']!r}; accepted: two spaces")
    from retrieval.evaluation.inputs.formats import read_qrels
    from retrieval.evaluation.measures.metrics import DEFAULT
    from retrieval.evaluation.results.files import write_results
    from retrieval.evaluation.space_comparison import compare_spaces

    qrels = None if judgments is None else read_qrels(judgments)
    labels = _labels_in(labels_folder, quiet=as_json)
    with opened() as here, tables.progress("steps", quiet=as_json) as done:
        result = compare_spaces(
            here.search, qrels=qrels, names=metrics or DEFAULT, labels=labels, on_done=done, **given
        )
    _shown(result, out, lambda folder: write_results(folder, result), as_json=as_json)


@evaluate.command()
@click.argument("folder", type=ReadableFolder())
@click.option("--clip-s", type=Number(1, 300), default=20.0, show_default=True, help="How long clips are.")
@click.option(
    "--pool", "pools", type=Whole(2), multiple=True, default=(100, 1_000), show_default=True,
    help="Tracks that each clip's own is among; repeatable.",
)  # fmt: skip
@click.option(
    "--music",
    type=ReadableFolder(),
    help="Other music to stand among (default: that of the catalogue); none that the videos hold.",
)
@click.option("--out", type=NewFile(), help="Write the figures to this file, as JSON.")
@seed_option
@json_option
def video(
    folder: Path, clip_s: float, pools: Sequence[int], music: Path | None, out: Path | None, seed: int, as_json: bool
) -> int:
    """Let clips of the videos in FOLDER ask for their own music, among others', and for where in it they start.

    FOLDER/<source>/<clip>.mp4: clips of one source, such as a film, never stand against each other.
    """
    from api.cli import evaluation_tables
    from api.cli.video_evaluation import VideoTask, evaluate_videos
    from retrieval.evaluation.clips import VideoOptions
    from retrieval.evaluation.results.runs import as_json as in_json

    options = VideoOptions(list(dict.fromkeys(pools)), clip_s, seed)
    with opened() as here, tables.progress("evaluating", quiet=as_json) as done:
        here.fetch_seeing(say)
        result = evaluate_videos(here, VideoTask(folder, music, options), done)
    plain = in_json(result)
    if out is not None:
        try:
            out.write_text(json.dumps(plain, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        except OSError as error:
            raise click.ClickException(f"{out}: {error.strerror or error}") from error
    if as_json:
        print_json(plain)
    else:
        evaluation_tables.print_videos(result)
    return FAILED_FILES if result.left_out else 0


def _labels_in(folder: Path | None, *, quiet: bool) -> "FolderLabels | None":
    """What a folder says, if there is one."""
    if folder is None:
        return None
    from api.cli.label_folders import read_labels

    with tables.progress("labelled files", quiet=quiet) as done:
        return read_labels(folder, on_done=done)


def _shown(result: "Result", out: Path | None, write: Callable[[Path], list[str]], *, as_json: bool) -> None:
    """Write the results to their folder, if there is one, and print them."""
    from api.cli import evaluation_tables
    from retrieval.evaluation.html.page import PAGE, write_page
    from retrieval.evaluation.results.runs import as_json as in_json

    try:
        names = [] if out is None else [*write(out), write_page([out], out / PAGE)]
    except OSError as error:
        raise click.ClickException(f"{out}: {error.strerror or error}") from error
    if as_json:
        print_json(in_json(result))
        return
    evaluation_tables.print_result(result)
    if out is not None:
        evaluation_tables.print_files(out, names)
