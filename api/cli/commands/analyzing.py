"""Tracks that the catalogue holds, listened to again: `analyze`."""

from collections.abc import Sequence
from dataclasses import asdict

import click

from api.cli import ingest_tables, tables
from api.cli.commands.reencoding import say
from api.cli.options import FAILED_FILES, json_option, opened, print_json
from api.cli.usage.values import Name
from api.naming import track_named
from api.wiring import Soundalike
from indexer.stages.stage import Stage
from retrieval.catalog.heard.music import ACCENTS_STAGE, MUSIC_STAGES
from retrieval.catalog.heard.voices import LANGUAGE_STAGE, VOCALS_STAGE
from retrieval.suggestions import did_you_mean

STAGES = (*MUSIC_STAGES, ACCENTS_STAGE, VOCALS_STAGE, LANGUAGE_STAGE)


def stages_of(given: str | None) -> tuple[str, ...]:
    """The names that `--stage` joins by commas; none given: all."""
    names = STAGES if given is None else tuple(dict.fromkeys(name.strip() for name in given.split(",")))
    unknown = [name for name in names if name not in STAGES]
    if unknown:
        hint = did_you_mean(unknown[0], STAGES)
        raise click.BadParameter(
            f"no stage {unknown[0]!r}{hint or ';'} accepted: {', '.join(STAGES)}", param_hint="--stage"
        )
    return names


@click.command()
@click.argument("keys", metavar="[KEY_OR_FILE]...", nargs=-1, type=Name())
@click.option("--all", "everything", is_flag=True, help="All tracks of the catalogue.")
@click.option(
    "--stage",
    "names",
    metavar="NAME,…",
    callback=lambda context, option, given: stages_of(given),
    help=f"Which of {', '.join(STAGES)} (default: all of them).",
)
@click.option("--force", is_flag=True, help="Also what is of the same version. This starts from the beginning.")
@json_option
def analyze(keys: tuple[str, ...], everything: bool, names: tuple[str, ...], force: bool, as_json: bool) -> int:
    """Listen again to tracks of the catalogue whose analysis is missing, or of another version.

    What was analysed stays when it is stopped, and the same command goes on.
    """
    if bool(keys) == everything:
        raise click.UsageError("give either tracks (KEY_OR_FILE) or --all")
    with opened() as here:
        keys = tuple(track_named(here.catalog, key).key for key in keys)
        stages = _stages(here, names)
        with tables.progress("analysing", quiet=as_json) as show:
            shown = ingest_tables.IngestProgress(show, quiet=as_json)
            report = here.analyse_again(
                stages,
                names,
                keys=None if everything else keys,
                force=force,
                on_start=shown.start,
                on_outcome=shown.advance,
            )
        failures = here.ledger.failures(job_id=report.job_id)
    if as_json:
        print_json(asdict(report) | {"failures": [asdict(failure) for failure in failures]})
    else:
        ingest_tables.print_report(report, failures, done="analysed")
    return FAILED_FILES if failures else 0


def _stages(here: Soundalike, names: Sequence[str]) -> list[Stage]:
    """All stages, those of these names among them; weights for these that are not here are fetched."""
    every = here.analyses(fetch=bool({VOCALS_STAGE, LANGUAGE_STAGE}.intersection(names)), on_note=say).stages()
    missing = [name for name in names if name not in {stage.name for stage in every}]
    if missing:
        raise click.ClickException(f"nothing here listens for {missing[0]}: soundalike weights list says what is here")
    return every
