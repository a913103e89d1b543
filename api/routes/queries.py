"""`/v1/query`: one body for every kind of search."""

from dataclasses import replace

from apiflask import APIBlueprint

from api.context import context
from api.problems import possible
from api.schemas import AnswerOut, AudioQueryForm, MediaQuery, TrackQuery, answer_out
from encoders.media import decode_untrusted

blueprint = APIBlueprint("queries", __name__, url_prefix="/v1", tag="Query")


@blueprint.post("/query")
@blueprint.input(TrackQuery)
@blueprint.output(AnswerOut)
@blueprint.doc(responses=possible(400, 404, 409, 422, 503))
def query(json_data: TrackQuery) -> AnswerOut:
    """Tracks like a track, or like a vector."""
    return answer_out(context().soundalike.search.answer(json_data.as_query()))


@blueprint.post("/query/audio")
@blueprint.input(AudioQueryForm, location="form_and_files")
@blueprint.output(AnswerOut)
@blueprint.doc(responses=possible(400, 404, 413, 415, 422, 503))
def query_audio(form_and_files_data: AudioQueryForm) -> AnswerOut:
    """Tracks like an uploaded clip."""
    options = MediaQuery.model_validate_json(form_and_files_data.body or "{}")
    soundalike = context().soundalike
    # The space before the encoder: a caller's name must never decide what is imported.
    encoder = soundalike.encoder(soundalike.search.space(options.space).space)
    with context().encoding():
        audio = decode_untrusted(
            form_and_files_data.file.read(),
            sample_rates=[encoder.spec.sample_rate],
            limits=soundalike.settings.media_limits,
        )
        by_audio = soundalike.query_of(audio, encoder)
    return answer_out(soundalike.search.answer(replace(by_audio, **options.options() | {"space": by_audio.space})))
