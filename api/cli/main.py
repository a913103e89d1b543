"""`soundalike`: the command line.

Exit codes: 0 done; 1 could not be done, and one line says why; 2 wrong usage; 3 done, but some files failed or
lines of a playlist were left out; 130 interrupted; 141 nobody reads what is printed any more.
"""

import logging
import sys
from io import StringIO

import click
from sqlalchemy.exc import DBAPIError

from encoders.errors import EncoderError
from indexer.errors import IndexerError
from retrieval.catalog.database import is_lost, refusal
from retrieval.errors import MissingLibraryError, QueryError, RetrievalError

try:
    from api.cli.commands import (
        analyzing,
        continuing,
        curating,
        evaluation,
        exporting,
        indexing,
        listing,
        retargeting,
        searching,
        serving,
    )
    from api.cli.commands.humming import hum
    from api.cli.commands.matching import match_video
    from api.cli.commands.teaching.encoders import train
    from api.cli.commands.teaching.songs import record_songs, train_form, train_key, train_melody, train_rhythm
    from api.cli.commands.teaching.videos import make_clips, train_video
    from api.cli.commands.teaching.voices import gather_voices, sing_voices, train_vocals
    from api.cli.commands.teaching.words import train_words
    from api.cli.commands.weights import weights
    from api.cli.options import as_text, in_options
    from api.cli.terminal import HarmlessFormatter, OutputLostError, echo, finish_output, prepare_streams
    from api.documents.wellformed import DocumentError, TooDeepError, escaped
    from api.settings import SettingsError
except MissingLibraryError as error:
    sys.exit(f"soundalike: {error}")


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.option("-v", "--verbose", is_flag=True, help="Say more on standard error.")
@click.version_option(package_name="soundalike")
def soundalike(verbose: bool) -> None:
    """Music search that listens."""
    handler = logging.StreamHandler()
    handler.setFormatter(HarmlessFormatter("%(levelname)s %(name)s: %(message)s"))
    logging.basicConfig(level=logging.DEBUG if verbose else logging.WARNING, handlers=[handler], force=True)
    logging.getLogger("alembic").setLevel(logging.WARNING)


for command in (
    *(
        indexing.demo,
        indexing.index,
        analyzing.analyze,
        searching.similar,
        searching.query,
        hum,
        match_video,
        continuing.continue_playlist,
        retargeting.retarget,
    ),
    *(searching.path, serving.serve),
    *(
        listing.status,
        listing.tracks,
        listing.facets,
        *curating.HEARD,
        curating.correct,
        exporting.export_neighbors,
        exporting.export_jams,
        evaluation.evaluate,
    ),
    *(indexing.packs, weights, train, indexing.rebuild, indexing.delete, indexing.prune_missing, serving.migrate),
):
    soundalike.add_command(command)

for command in (
    *(gather_voices, sing_voices, train_vocals),
    *(record_songs, train_rhythm, train_key, train_form, train_melody),
    *(make_clips, train_video, train_words),
):
    train.add_command(command)


def main(arguments: list[str] | None = None) -> None:
    """Run the command line: one line for every expected error, no traceback."""
    prepare_streams()
    try:
        code = _run(sys.argv[1:] if arguments is None else arguments)
        finish_output()
    except OutputLostError as lost:
        code = lost.code if lost.is_unread else _fail(str(lost), lost.code)
    sys.exit(code)


def _run(arguments: list[str]) -> int:
    """Run a command and say how it went, as an exit code."""
    interrupted = "interrupted; what was stored stays, run the same command to go on"
    try:
        return soundalike.main(as_text(arguments), standalone_mode=False) or 0
    except (click.exceptions.Abort, KeyboardInterrupt):
        return _fail(interrupted, 130)
    except click.ClickException as error:
        shown = StringIO()
        error.show(shown)
        echo(shown.getvalue().rstrip("\n"), err=True)
        return error.exit_code
    except QueryError as error:
        return _fail(in_options(error), 1)
    except (EncoderError, RetrievalError, IndexerError, SettingsError, DocumentError, TooDeepError) as error:
        return _fail(str(error), 1)
    except UnicodeEncodeError as error:  # names of files and settings may be no text
        return _fail(f"{escaped(str(error.object))!r} is not UTF-8, and the catalogue holds no other text", 1)
    except DBAPIError as error:
        lost = f"the database was lost: {str(error.orig).strip().splitlines()[0]}"
        return _fail(lost if is_lost(error) else refusal(error), 1)


def _fail(message: str, code: int) -> int:
    echo(f"soundalike: {message}", err=True)
    return code
