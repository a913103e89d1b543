"""Music for a video or a picture: `match-video`."""

from pathlib import Path

import click

from api.cli.commands.reencoding import say
from api.cli.options import check_filter, filter_option, json_option, opened, print_json
from api.cli.terminal import echo
from api.cli.usage.values import NewFile, Number, ReadableFile, Whole, check_not_itself
from api.cli.video_tables import print_matched
from api.documents.video import video_answer_out
from retrieval.errors import OutOfRangeError
from retrieval.filters.language import Filter
from retrieval.search.query import MAX_LIMIT, Query, Seed


@click.command("match-video")
@click.argument("clip", type=ReadableFile())
@filter_option
@click.option("--start-s", type=Number(0), default=0.0, show_default=True, help="Where the clip begins.")
@click.option("--end-s", type=Number(0), help="Where it ends; none: where the video does.")
@click.option("-n", "--limit", type=Whole(1, MAX_LIMIT), default=10, show_default=True, help="How many tracks.")
@click.option("--explain", is_flag=True, help="Say what drove each score.")
@click.option("--preview", type=NewFile((".mp4",)), help="Write the clip with the best track.")
@click.option("--keep-speech", is_flag=True, help="In the preview, keep the clip's own sound where somebody speaks.")
@json_option
def match_video(
    clip: Path, condition: Filter | None, start_s: float, end_s: float | None, limit: int, explain: bool,
    preview: Path | None, keep_speech: bool, as_json: bool,
) -> None:  # fmt: skip
    """Find the music that fits CLIP, a video or a picture, and where in each track it starts."""
    from api.matching import check_catalogue, match, watch
    from api.previewing import Preview, write_preview

    if end_s is not None and end_s <= start_s:
        raise click.BadParameter(f"is {end_s:g}, --start-s is {start_s:g}: it must be later", param_hint="--end-s")
    if keep_speech and preview is None:
        raise click.UsageError("--keep-speech needs --preview")
    if preview is not None:
        check_not_itself(preview, clip, "--preview")
    with opened() as here:
        check_catalogue(here)
        check_filter(here, condition)
        here.fetch_seeing(say)
        try:
            watched = watch(here, clip, start_s=start_s, end_s=end_s)
        except OutOfRangeError as error:
            raise click.BadParameter(
                f"{error.reason}; accepted: a moment before its end", param_hint="--start-s"
            ) from error
        found = match(here, watched, Query((Seed("clip"),), filter=condition, limit=limit, explain=explain))
        shown = video_answer_out(watched, found, explain=explain)
        if not as_json:  # before the preview is written, which takes a while and may fail
            print_matched(str(clip), shown)
        if preview is not None:
            if not found.fits or found.fits[0].placement is None:
                raise click.ClickException(f"{preview}: no track fits the filter, so there is nothing to preview")
            track = found.answer.results[0].track
            write_preview(here, Preview(clip, watched, track, found.fits[0].placement, keep_speech), preview)
            if not as_json:
                echo(f"{preview}: {clip} with {track.key}")
    if as_json:  # one document, be it this or the error
        print_json(shown.model_dump())
