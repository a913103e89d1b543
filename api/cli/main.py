"""`soundalike`: the command line.

Exit codes: 0 done; 1 could not be done, and one line says why; 2 wrong usage, where what was typed is not
accepted; 3 done, but some files failed or lines of a playlist were left out; 130 interrupted; 141 nobody reads what is
printed any more.
"""

import logging
import sys
import time
from collections.abc import Callable

import click

from api.cli.lazy import LazyGroup, Lines
from api.cli.options import as_text
from api.cli.terminal import HarmlessFormatter, OutputLostError, finish_output, prepare_streams
from api.cli.usage.downloading import shown_downloads
from api.cli.usage.failures import Failure, failure_of, told, wants_json

COMMANDS: dict[str, Lines] = {
    "Begin": {
        "demo": ("indexing:demo", "from nothing to an answer, on free music or on yours"),
        "index": ("indexing:index", "bring music in: a folder, a file, or a pack of free music"),
        "packs": ("indexing:packs", "the free music that index --pack fetches"),
    },
    "Search": {
        "similar": ("searching:similar", "what sounds like tracks of the catalogue, or like any files"),
        "query": ("searching:query", "any search that HTTP takes, from a file"),
        "continue": ("continuing:continue_playlist", "go on where a playlist ends"),
        "path": ("searching:path", "a playlist from one track to another"),
        "hum": ("humming:hum", "tracks with a melody that is hummed, sung or whistled"),
        "match-video": ("matching:match_video", "music that fits a video or a picture"),
        "retarget": ("retargeting:retarget", "a track at any length"),
    },
    "Look": {
        "show": ("about.showing:show", "everything known of a track"),
        "status": ("listing:status", "what the catalogue holds, and what failed"),
        "tracks": ("listing:tracks", "its tracks"),
        "facets": ("listing:facets", "how many have which tag, language, tempo or key"),
        "language": ("about.curating:language", "who sings how much, when, and in which language"),
        "rhythm": ("about.curating:rhythm", "tempo, beats, bars and key"),
        "structure": ("about.curating:structure", "verses, choruses and other parts"),
        "highlights": ("about.curating:highlights", "what represents a track"),
        "loops": ("about.curating:loops", "what of it can be looped"),
        "melody": ("about.curating:melody", "how much melody it has"),
    },
    "Keep": {
        "correct": ("about.curating:correct", "say what a track is; it stays so"),
        "analyze": ("analyzing:analyze", "listen again where that is missing or older"),
        "delete": ("indexing:delete", "take tracks out"),
        "prune": ("indexing:prune_missing", "take out tracks whose files are gone"),
        "rebuild": ("indexing:rebuild", "build the index anew from PostgreSQL"),
        "migrate": ("serving:migrate", "bring a database of yours up to date"),
    },
    "Serve, measure, train": {
        "serve": ("serving:serve", "the HTTP API"),
        "evaluate": ("evaluation:evaluate", "how good the answers are"),
        "export-jams": ("exporting:export_jams", "beats, key, sections and melody for other programs"),
        "export-neighbors": ("exporting:export_neighbors", "the neighbours of every track"),
        "weights": ("weights:weights", "the networks' weights: list, fetch, import"),
        "train": ("teaching.all_trainings:train", "networks on music of your own"),
    },
}
"""Every command: where it stands under `api.cli.commands`, and what it does."""
GO_ON = frozenset(("demo", "index", "analyze", "rebuild", "export-neighbors", "train"))
"""Those that keep what they have done when they are interrupted, and go on from there."""


@click.group(
    cls=LazyGroup, lines=COMMANDS, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110}
)
@click.option("-v", "--verbose", is_flag=True, help="Say more on standard error.")
@click.version_option(package_name="soundalike")
def soundalike(verbose: bool) -> None:
    """Music search that listens."""
    handler = logging.StreamHandler()
    handler.setFormatter(HarmlessFormatter("%(levelname)s %(name)s: %(message)s"))
    logging.basicConfig(level=logging.DEBUG if verbose else logging.WARNING, handlers=[handler], force=True)
    logging.getLogger("alembic").setLevel(logging.WARNING)


def main(arguments: list[str] | None = None, *, on_start: Callable[[], object] = lambda: None) -> None:
    """Run the command line: one line for every expected error, no traceback.

    Parameters
    ----------
    on_start : called when an interrupt is such an error, too
    """
    prepare_streams()
    try:
        code = _run(sys.argv[1:] if arguments is None else arguments, on_start)
        finish_output()
    except OutputLostError as lost:
        code = lost.code if lost.is_unread else told(Failure(lost.code, str(lost), "output-lost"), as_json=False)
    sys.exit(code)


def _run(arguments: list[str], on_start: Callable[[], object]) -> int:
    """Run a command and say how it went, as an exit code."""
    try:
        on_start()
        with shown_downloads(quiet=wants_json(arguments)):
            typed, began = as_text(arguments), time.monotonic()  # which `ingest_tables.since_began` reads
            return soundalike.main(typed, prog_name="soundalike", standalone_mode=False, obj=began) or 0
    except OutputLostError:
        raise
    except (Exception, KeyboardInterrupt) as error:
        failure = failure_of(error, goes_on=not GO_ON.isdisjoint(arguments[:2]))
        if failure is None:
            raise
        return told(failure, as_json=wants_json(arguments))
