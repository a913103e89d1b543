"""`/v1/tracks/{id}/retarget`: a track of another length."""

import hashlib
import json
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import IO, Literal

from apiflask import APIBlueprint
from flask import Response, jsonify, request, send_file
from pydantic import Field

from api.documents.search import Strict
from api.editing import retarget
from api.http.context import resources, soundalike
from api.http.problems import possible, problem, response_of
from api.http.requests import Arguments
from encoders.editing.planning import LONGEST_S, SHORTEST_S
from encoders.media.writing import write_wav

blueprint = APIBlueprint("retargeting", __name__, url_prefix="/v1", tag="Tracks")

_PLAN, _AUDIO = "application/json", "audio/wav"


class RetargetIn(Strict):
    """How long the track is to be, and what has to be in."""

    duration_s: float = Field(ge=SHORTEST_S, le=LONGEST_S, allow_inf_nan=False)
    keep: Literal["highlight"] | None = None


class RetargetArguments(RetargetIn, Arguments):
    """The same in an address."""


@blueprint.post("/tracks/<path:key>/retarget")
@blueprint.input(RetargetIn)
@blueprint.doc(
    responses=possible(400, 404, 410, 413, 415, 422, 503)
    | {200: "The plan as JSON; the sound itself where audio/wav is accepted rather"}
)
def retarget_track(key: str, json_data: RetargetIn) -> Response:
    """Make a track as long as asked, by jumps from beat to beat: the plan, or with `Accept: audio/wav` the sound."""
    as_sound = request.accept_mimetypes.best_match([_PLAN, _AUDIO]) == _AUDIO
    return _made(key, json_data, as_sound=as_sound)


@blueprint.get("/tracks/<path:key>/retarget")
@blueprint.input(RetargetArguments, location="query")
@blueprint.doc(
    responses=possible(404, 410, 413, 415, 422, 503) | {200: "The sound", 206: "The asked range", 416: "No such range"}
)
def get_retargeted(key: str, query_data: RetargetArguments) -> Response:
    """The sound of a track made as long as asked, for players: range requests are answered, each by making it anew."""
    return _made(key, query_data, as_sound=True)


def _made(key: str, asked: RetargetIn, *, as_sound: bool) -> Response:
    track = soundalike().catalog.track(key)
    path = Path(track.uri)
    if not path.is_file():
        detail = f"the file of track {key!r} is no longer there"
        return response_of(problem(410, "audio-gone", "The audio file is gone", detail))
    with resources().encoding():
        made = retarget(soundalike(), path, asked.duration_s, keep=asked.keep, track_id=track.id)
        if not as_sound:
            return jsonify(made.plan.document())
        with ExitStack() as where_it_fails:
            file = where_it_fails.enter_context(tempfile.TemporaryFile())
            write_wav(made.audio, file, key)
            changed = f"{path.stat().st_mtime_ns} {json.dumps(made.plan.document())}"
            response = _response(file, hashlib.sha256(changed.encode()).hexdigest()[:32])
            where_it_fails.pop_all()  # from here on it is closed with the response
    return response


def _response(file: IO[bytes], etag: str) -> Response:
    """What was written to a file, or the asked range of it."""
    length = file.tell()
    file.seek(0)
    response = send_file(file, mimetype=_AUDIO, download_name="retargeted.wav")
    response.content_length = length  # of a file without a name nobody else says it
    response.set_etag(etag)
    # HTTP knows ranges of what is got alone: what is posted comes as a whole.
    response.make_conditional(request.environ, accept_ranges=True, complete_length=length)
    return response
