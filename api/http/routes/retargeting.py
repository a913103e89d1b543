"""`/v1/tracks/{id}/retarget`: a track of another length."""

import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Literal

from apiflask import APIBlueprint
from flask import Response, jsonify, request, send_file
from pydantic import Field

from api.documents.search import Strict
from api.editing import retarget
from api.http.context import resources, soundalike
from api.http.problems import possible, problem, response_of
from encoders.editing.planning import LONGEST_S, SHORTEST_S
from encoders.media.writing import write_wav

blueprint = APIBlueprint("retargeting", __name__, url_prefix="/v1", tag="Tracks")

_PLAN, _AUDIO = "application/json", "audio/wav"


class RetargetIn(Strict):
    """How long the track is to be, and what has to be in."""

    duration_s: float = Field(ge=SHORTEST_S, le=LONGEST_S, allow_inf_nan=False)
    keep: Literal["highlight"] | None = None


@blueprint.post("/tracks/<path:key>/retarget")
@blueprint.input(RetargetIn)
@blueprint.doc(
    responses=possible(400, 404, 410, 413, 415, 422, 503)
    | {200: "The plan as JSON; the sound itself where audio/wav is accepted rather"}
)
def retarget_track(key: str, json_data: RetargetIn) -> Response:
    """Make a track as long as asked, by jumps from beat to beat: the plan, or with `Accept: audio/wav` the sound."""
    track = soundalike().catalog.track(key)
    path = Path(track.uri)
    if not path.is_file():
        detail = f"the file of track {key!r} is no longer there"
        return response_of(problem(410, "audio-gone", "The audio file is gone", detail))
    with resources().encoding():
        made = retarget(soundalike(), path, json_data.duration_s, keep=json_data.keep, track_id=track.id)
        if request.accept_mimetypes.best_match([_PLAN, _AUDIO]) != _AUDIO:
            return jsonify(made.plan.document())
        with ExitStack() as where_it_fails:
            file = where_it_fails.enter_context(tempfile.TemporaryFile())
            write_wav(made.audio, file, key)
            where_it_fails.pop_all()  # from here on it is closed with the response
    length = file.tell()
    file.seek(0)
    response = send_file(file, mimetype=_AUDIO, download_name="retargeted.wav")
    response.content_length = length  # of a file without a name nobody else says it
    return response
