"""`/v1/tracks`: the catalogue."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from apiflask import APIBlueprint, HTTPError
from flask import Response, abort, send_file

from api.documents.answer import AnswerOut, answer_out, track_out
from api.documents.facets import FacetsOut, facets_out
from api.documents.search import MAX_KEY_LENGTH, MediaSearch, read_json
from api.documents.voice import (
    CorrectedTrackOut,
    CorrectionIn,
    LanguageOut,
    corrected_track_out,
    language_out,
)
from api.documents.wellformed import check, parse_json
from api.http.answers import EmbeddingOut, ItemOut, ItemsOut, TagsOut, TrackPage
from api.http.context import resources, soundalike
from api.http.problems import possible, problem, response_of
from api.http.requests import (
    BulkForm,
    DeleteArguments,
    FacetArguments,
    ListArguments,
    SimilarArguments,
    SpaceArguments,
    TrackFields,
    TrackForm,
)
from indexer.track import Outcome
from indexer.uploads import Upload, discard_audio, index_upload
from retrieval.counting import counted
from retrieval.errors import QueryError, UnknownTrackError
from retrieval.filters.facets import facets
from retrieval.filters.language import Filter, parse_filter
from retrieval.index.merging import merge_soon
from retrieval.search.query import Seed
from retrieval.suggestions import suggested
from retrieval.wording import shown

blueprint = APIBlueprint("tracks", __name__, url_prefix="/v1", tag="Tracks")

# A key that ended in one of them could not be told from the part.
PARTS = (
    *("tags", "language", "rhythm", "structure", "highlights", "loops", "melody"),
    *("embedding", "audio", "similar", "retarget"),
)


@blueprint.get("/tracks")
@blueprint.input(ListArguments, location="query")
@blueprint.output(TrackPage)
@blueprint.doc(responses=possible(422, 503))
def list_tracks(query_data: ListArguments) -> TrackPage:
    """The catalogue, page by page, under a filter."""
    here, condition = soundalike(), None
    if query_data.filter is not None:
        condition = here.search.selections.condition(_filter(query_data.filter))
    after_id = _after(query_data.cursor)
    tracks = here.catalog.list_tracks(
        after_id=after_id, limit=query_data.limit + 1, condition=condition, missing=query_data.missing
    )
    page = tracks[: query_data.limit]
    more = len(tracks) > query_data.limit
    return TrackPage(tracks=[track_out(track) for track in page], next_cursor=str(page[-1].id) if more else None)


@blueprint.get("/facets")
@blueprint.input(FacetArguments, location="query")
@blueprint.output(FacetsOut)
@blueprint.doc(responses=possible(422, 503))
def get_facets(query_data: FacetArguments) -> FacetsOut:
    """How many tracks have which tags, languages, tempi, metres and keys, and how much voice, under a filter."""
    only = None if query_data.filter is None else _filter(query_data.filter)
    return facets_out(facets(soundalike().search.selections, only))


@blueprint.get("/tracks/<path:key>")
@blueprint.output(CorrectedTrackOut)
@blueprint.doc(responses=possible(404, 503))
def get_track(key: str) -> CorrectedTrackOut:
    """One track, and what a curator said of it."""
    catalog = soundalike().catalog
    with _telling_parts(key):
        return corrected_track_out(catalog, catalog.track(key))


@blueprint.patch("/tracks/<path:key>")
@blueprint.input(CorrectionIn)
@blueprint.output(CorrectedTrackOut)
@blueprint.doc(responses=possible(400, 404, 413, 415, 422, 503))
def correct_track(key: str, json_data: CorrectionIn) -> CorrectedTrackOut:
    """Correct a track: what is said stands, whatever is heard or read later, until null takes it back."""
    catalog = soundalike().catalog
    with _telling_parts(key):
        catalog.correct(key, json_data.said())
    merge_soon(soundalike().search.opened)
    return corrected_track_out(catalog, catalog.track(key))


@blueprint.put("/tracks/<path:key>")
@blueprint.input(TrackForm, location="form_and_files")
@blueprint.output(ItemOut)
@blueprint.doc(responses=possible(400, 413, 415, 422, 503))
def put_track(key: str, form_and_files_data: TrackForm) -> ItemOut | Response:
    """Index one track; the same content and fields again change nothing."""
    _check_key(key)
    fields = read_json(TrackFields, form_and_files_data.body or "{}")
    outcome = _index(key, form_and_files_data.file, fields)
    merge_soon(soundalike().search.opened)
    if outcome.status == "failed":
        detail = f"{outcome.stage}: {outcome.reason}"
        title = "The track cannot be indexed"
        return response_of(problem(422, "track-failed", title, detail, field="file", stage=outcome.stage))
    return _item(key, outcome)


@blueprint.post("/tracks:bulk")
@blueprint.input(BulkForm, location="form_and_files")
@blueprint.output(ItemsOut)
@blueprint.doc(responses=possible(400, 413, 415, 422, 503))
def put_tracks(form_and_files_data: BulkForm) -> ItemsOut:
    """Index several tracks, each under its file's name; every one has a status of its own."""
    keys = [str(file.filename) for file in form_and_files_data.files]
    for key in keys:
        _check_key(key)
    files = form_and_files_data.files
    items = [_item(key, _index(key, file, TrackFields())) for key, file in zip(keys, files, strict=True)]
    merge_soon(soundalike().search.opened)
    return ItemsOut(items=items)


@blueprint.delete("/tracks/<path:key>")
@blueprint.input(DeleteArguments, location="query")
@blueprint.output({}, status_code=204)
@blueprint.doc(responses=possible(404, 422, 503))
def delete_track(key: str, query_data: DeleteArguments) -> str:
    """Take a track out of the catalogue; it is gone from answers at once.

    A file that lies in a folder comes back when that is indexed again, unless it is ignored.
    """
    with _telling_parts(key):
        track = soundalike().catalog.track(key)
    soundalike().catalog.delete(key, ignore=query_data.ignore)
    discard_audio(track.uri, soundalike().catalog, uploads_dir=soundalike().settings.uploads_dir)
    merge_soon(soundalike().search.opened)
    return ""


@blueprint.get("/tracks/<path:key>/tags")
@blueprint.output(TagsOut)
@blueprint.doc(responses=possible(404, 503))
def get_tags(key: str) -> TagsOut:
    """What the tagger heard."""
    track = soundalike().catalog.track(key)
    return TagsOut(track=key, tags=soundalike().catalog.tags_of([track.id])[track.id])


@blueprint.get("/tracks/<path:key>/language")
@blueprint.output(LanguageOut)
@blueprint.doc(responses=possible(404, 503))
def get_language(key: str) -> LanguageOut:
    """Who sings how much, when, and in which language."""
    catalog = soundalike().catalog
    return language_out(catalog, catalog.track(key))


@blueprint.get("/tracks/<path:key>/embedding")
@blueprint.input(SpaceArguments, location="query")
@blueprint.output(EmbeddingOut)
@blueprint.doc(responses=possible(404, 409, 422, 503))
def get_embedding(key: str, query_data: SpaceArguments) -> EmbeddingOut:
    """The track's vector in a space."""
    here = soundalike()
    track, space = here.catalog.track(key), here.search.space_name(query_data.space)
    version = here.search.space(space).view().encoder_version
    vector = here.catalog.track_vector(track.id, space, version)
    return EmbeddingOut(track=key, space=space, vector=np.round(vector, 6).tolist())


@blueprint.get("/tracks/<path:key>/audio")
@blueprint.doc(responses=possible(404, 410, 503) | {200: "The whole file", 206: "The asked range"})
def get_audio(key: str) -> Response:
    """The audio file; range requests are answered."""
    path = Path(soundalike().catalog.track(key).uri)
    if not path.is_file():
        detail = f"the file of track {key!r} is no longer there"
        return response_of(problem(410, "audio-gone", "The audio file is gone", detail))
    return send_file(path, conditional=True)


@blueprint.get("/tracks/<path:key>/similar")
@blueprint.input(SimilarArguments, location="query")
@blueprint.output(AnswerOut)
@blueprint.doc(responses=possible(404, 409, 422, 503))
def get_similar(key: str, query_data: SimilarArguments) -> AnswerOut:
    """Tracks like this one."""
    search = MediaSearch.model_validate(query_data.model_dump())
    soundalike().catalog.track(key)  # the address names it, and no query that was sent
    with search.naming_fields():
        return answer_out(soundalike().search.answer(search.query_for([Seed(key)])))


@contextmanager
def _telling_parts(key: str) -> Iterator[None]:
    """Where a key is none but begins with one, its end is what was mistaken: a part of that track.

    Raises
    ------
    HTTPError, UnknownTrackError
    """
    try:
        yield
    except UnknownTrackError:
        track, _, part = key.rpartition("/")
        if not soundalike().catalog.ids_by_key([track]):
            raise
        if part in PARTS:
            abort(405)
        near = [f"/v1/tracks/{{key}}/{one}" for one in suggested(part, PARTS)] if part else ["/v1/tracks/{key}"]
        hint = f"did you mean {' or '.join(near)}?" if near else f"accepted: {', '.join(PARTS)}"
        detail = f"track {track!r} has nothing at /{part}; {hint}"
        raise HTTPError(404, "Not Found", detail, extra_data={"nearest": near}) from None


def _index(key: str, file: Any, fields: TrackFields) -> Outcome:
    here = soundalike()
    encoders = here.indexing_encoders()  # nothing is fetched within a request
    upload = Upload(key, str(file.filename), file.read(), **fields.model_dump())
    with resources().encoding():
        return index_upload(
            upload,
            encoders.every,
            here.catalog,
            uploads_dir=here.settings.uploads_dir,
            limits=here.settings.media_limits,
            of_new=encoders.of_new,
            analyses=encoders.analyses,
            others=here.encoder_held,
        )


def _item(key: str, outcome: Outcome) -> ItemOut:
    return ItemOut(track=key, status=outcome.status, stage=outcome.stage, reason=outcome.reason)  # type: ignore[arg-type]


def _check_key(key: str) -> None:
    if len(key) > MAX_KEY_LENGTH:
        raise QueryError("key", f"has {counted(len(key), 'character')}", f"1 to {MAX_KEY_LENGTH}")
    if not key.strip():
        raise QueryError("key", f"is {shown(key)}, which nobody could read", "a name that is not blank")
    if key.rpartition("/")[2] in PARTS and "/" in key:
        raise QueryError("key", f"ends in a reserved name: {key!r}", f"keys that do not end in /{', /'.join(PARTS)}")


def _after(cursor: str | None) -> int:
    if cursor is None:
        return 0
    if not (cursor.isascii() and cursor.isdigit() and len(cursor) < 19):
        raise QueryError("cursor", f"{cursor!r} was not given out", "the next_cursor of an earlier page")
    return int(cursor)


def _filter(raw: str) -> Filter:
    try:
        given = parse_json(raw, "filter")
    except ValueError as error:
        reason = str(error).partition("; accepted: ")[0]
        raise QueryError("filter", f"is not JSON ({reason})", '{"must": […]}, URL-encoded') from error
    check(given, "filter")
    return parse_filter(given)
