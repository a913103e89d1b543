"""`/v1/query`: one body for every kind of search."""

from dataclasses import replace
from typing import Any

from apiflask import APIBlueprint

from api.documents.answer import AnswerOut, answer_out
from api.documents.humming import HumAnswerOut, HumSearch, hum_answer_out
from api.documents.search import MediaSearch, SearchIn, read_json
from api.documents.video import VideoAnswerOut, VideoSearch, video_answer_out
from api.documents.wellformed import DocumentError
from api.http.answers import BatchOut
from api.http.context import resources, soundalike
from api.http.problems import EXPECTED, Problem, possible, problem_of
from api.http.requests import AudioSearchForm, BatchIn, HummingForm, VideoSearchForm
from api.matching import SPACE, check_catalogue, match, remembered, watch
from retrieval.search.query import Seed

blueprint = APIBlueprint("queries", __name__, url_prefix="/v1", tag="Query")


@blueprint.post("/query")
@blueprint.input(SearchIn)
@blueprint.output(AnswerOut)
@blueprint.doc(responses=possible(400, 404, 409, 410, 413, 415, 422, 503))
def query(json_data: SearchIn) -> AnswerOut:
    """Tracks like a track, a part of one, or a vector; like some examples and unlike others; or after a playlist."""
    return _answered(json_data)


@blueprint.post("/query/batch")
@blueprint.input(BatchIn)
@blueprint.output(BatchOut)
@blueprint.doc(responses=possible(400, 413, 415, 422))
def query_batch(json_data: BatchIn) -> BatchOut:
    """Several searches, each as in `/v1/query`; an error stays with its search."""
    default_space = soundalike().search.space_name()  # one for all of them
    return BatchOut(answers=[_answer_or_problem(body, default_space) for body in json_data.searches])


@blueprint.post("/query/audio")
@blueprint.input(AudioSearchForm, location="form_and_files")
@blueprint.output(AnswerOut)
@blueprint.doc(responses=possible(400, 404, 410, 413, 415, 422, 503))
def query_audio(form_and_files_data: AudioSearchForm) -> AnswerOut:
    """Tracks like an uploaded clip."""
    search = read_json(MediaSearch, form_and_files_data.body or "{}")
    with search.naming_fields():
        query = search.query_for([Seed("clip")])
        soundalike().search.check(query)  # what is wrong with it costs no decoding
        default_space = soundalike().search.space_name()
        with resources().encoding():
            seed = soundalike().seed_of(form_and_files_data.file.read(), search.space or default_space)
        answer = soundalike().search.answer(replace(query, positive=[seed]), default_space=default_space)
        return answer_out(answer)


@blueprint.post("/query/video")
@blueprint.input(VideoSearchForm, location="form_and_files")
@blueprint.output(VideoAnswerOut)
@blueprint.doc(responses=possible(400, 404, 409, 410, 413, 415, 422, 503))
def query_video(form_and_files_data: VideoSearchForm) -> VideoAnswerOut:
    """Tracks that fit an uploaded video or picture, or one that was sent before, and where in each it starts."""
    search = read_json(VideoSearch, form_and_files_data.body or "{}")
    file = form_and_files_data.file
    if (file is None) == (search.clip is None):
        raise DocumentError("file", "either a file or the id of a clip, in body.clip, is needed")
    with search.naming_fields():
        query = search.query_for([Seed("clip")])
        check_catalogue(soundalike())
        soundalike().search.check(replace(query, space=SPACE))  # what is wrong with it costs no decoding
        with resources().encoding():
            if file is None:
                clip = remembered(soundalike(), search.clip or "", start_s=search.start_s, end_s=search.end_s)
            else:
                clip = watch(soundalike(), file.read(), start_s=search.start_s or 0.0, end_s=search.end_s)
            found = match(soundalike(), clip, query)
    return video_answer_out(clip, found, explain=search.explain)


@blueprint.post("/query/humming")
@blueprint.input(HummingForm, location="form_and_files")
@blueprint.output(HumAnswerOut)
@blueprint.doc(responses=possible(400, 413, 415, 422, 503))
def query_humming(form_and_files_data: HummingForm) -> HumAnswerOut:
    """Tracks whose melody is hummed, sung or whistled in an uploaded clip, in any key and at any tempo."""
    search = read_json(HumSearch, form_and_files_data.body or "{}")
    with resources().encoding():
        sound = form_and_files_data.file.read()
        answer = soundalike().hummed(sound, filter_=search.filter, limit=search.limit)
    return hum_answer_out(answer)


def _answered(search: SearchIn, default_space: str | None = None) -> AnswerOut:
    with search.naming_fields():
        return answer_out(soundalike().search.answer(search.as_query(), default_space=default_space))


def _answer_or_problem(body: Any, default_space: str) -> AnswerOut | Problem:
    try:
        return _answered(SearchIn.model_validate(body), default_space)
    except EXPECTED as error:
        return problem_of(error)
