"""Every error as `application/problem+json` (RFC 9457): one table from exception to status and stable type."""

import logging
import re
from collections.abc import Callable, Mapping
from typing import Any

from apiflask import APIFlask, HTTPError
from flask import Response, current_app, request
from pydantic import BaseModel, SerializerFunctionWrapHandler, model_serializer
from sqlalchemy.exc import DataError, DBAPIError, InterfaceError, OperationalError

from api.documents.wellformed import DocumentError
from encoders.errors import (
    UPLOAD,
    AudioWriteError,
    EncoderError,
    MediaError,
    NoVideoError,
    RetargetError,
    SilentAudioError,
    TooLargeError,
    TooLongError,
    TooShortError,
    UnknownEncoderError,
    WeightsError,
)
from retrieval.catalog.ledger import UnknownJobError
from retrieval.errors import (
    CorrectionError,
    DatabaseUnavailableError,
    IndexMismatchError,
    IndexMissingError,
    MissingEmbeddingError,
    NotAnalysedError,
    OutOfRangeError,
    QueryError,
    RetrievalError,
    SchemaError,
    StaleCursorError,
    UnknownClipError,
    UnknownTrackError,
)
from retrieval.suggestions import MOST, suggested

logger = logging.getLogger(__name__)

CONTENT_TYPE = "application/problem+json"

_ASSETS = ("/static/", "/docs/<")
_CALLED = {"search": "query", "recommend": "query", "recommendations": "query", "songs": "tracks"}
"""What others call a step of a route."""
_PART = re.compile(r"<(?:\w+:)?(\w+)>")


class Problem(BaseModel):
    """What went wrong (RFC 9457), where, and what would be accepted."""

    type: str
    title: str
    status: int
    detail: str
    field: str | None = None
    accepted: str | None = None
    nearest: list[str] | None = None
    errors: list[dict[str, str]] | None = None
    stage: str | None = None

    @model_serializer(mode="wrap")
    def _given(self, serialized: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return {name: value for name, value in serialized(self).items() if value is not None}


class BusyError(Exception):
    """Too many clips are being encoded at the same time."""


# The first row whose class fits; `type` never changes once it has been published.
TABLE: tuple[tuple[type[Exception], int, str, str], ...] = (
    (UnknownTrackError, 404, "unknown-track", "No such track"),
    (UnknownClipError, 404, "unknown-clip", "No such clip"),
    (UnknownJobError, 404, "unknown-job", "No such job"),
    (NotAnalysedError, 404, "not-analysed", "Nobody has listened to the track for this"),
    (CorrectionError, 422, "invalid-correction", "The correction cannot be"),
    (OutOfRangeError, 422, "invalid-request", "The request is not valid"),
    (QueryError, 422, "invalid-query", "The query cannot be run as asked"),
    (StaleCursorError, 410, "stale-cursor", "The index has changed since the page before"),
    (MissingEmbeddingError, 409, "no-embedding", "The track is not encoded in this space"),
    (IndexMissingError, 404, "unknown-space", "No such space"),
    (IndexMismatchError, 503, "index-mismatch", "The index does not fit"),
    (SchemaError, 503, "schema", "The database's schema is of another version"),
    (DatabaseUnavailableError, 503, "no-database", "The database does not answer"),
    (OperationalError, 503, "no-database", "The database does not answer"),
    (DataError, 422, "invalid-value", "A value that the database cannot hold"),
    (InterfaceError, 503, "no-database", "The database does not answer"),
    (TooLongError, 413, "audio-too-long", "The audio is too long"),
    (TooShortError, 422, "audio-too-short", "The audio is too short"),
    (SilentAudioError, 422, "audio-silent", "The audio is silent"),
    (NoVideoError, 415, "no-video", "The file has no picture"),
    (TooLargeError, 413, "picture-too-large", "The pictures have too many pixels"),
    (MediaError, 415, "unreadable-audio", "The file cannot be read"),
    (RetargetError, 422, "invalid-length", "The track cannot be made this long"),
    (AudioWriteError, 422, "unwritable-audio", "The audio cannot be written"),
    (UnknownEncoderError, 404, "unknown-space", "No such space"),
    (WeightsError, 503, "no-weights", "The encoder's weights are not usable"),
    (RecursionError, 422, "too-deep", "The JSON is nested too deeply"),
    (BusyError, 503, "busy", "Too many clips at the same time"),
    (RetrievalError, 500, "retrieval", "The search failed"),
    (EncoderError, 500, "encoder", "The encoder failed"),
)
_SENT_AS: tuple[tuple[type[Exception] | tuple[type[Exception], ...], str, str], ...] = (
    (UnknownTrackError, "key", "the key of a track, as GET /v1/tracks lists them"),
    (UnknownClipError, "clip", "the clip's id in an answer of POST /v1/query/video, or its file again"),
    (UnknownJobError, "job_id", "the number of a job that was begun"),
    (StaleCursorError, "cursor", "the same search from its beginning, without a cursor"),
    (IndexMissingError, "space", ""),
    (UnknownEncoderError, "space", ""),
    (SilentAudioError, "file", "audio in which something is heard"),
    (NoVideoError, "file", "a video or a picture"),
    ((TooShortError, TooLongError), "file", "lengths as GET /v1/limits has them"),
    (MediaError, "file", "a whole file of audio, or of a video or picture where one is asked about"),
)
"""What nothing else says of an error: the field that it is about, and what would be accepted there."""
# What `problem_of` takes: the table, and documents that do not fit, with the paths of their fields as they were sent.
EXPECTED: tuple[type[Exception], ...] = (*(kind for kind, *_ in TABLE), DocumentError)

_DESCRIPTIONS = {
    400: "The body is not JSON, or not multipart",
    404: "No such track, clip, space or job, or the track was not analysed for this",
    409: "The track is not encoded in this space",
    410: "The index has changed since the page before, or the audio file is gone",
    413: "The body or the audio is too long, or pictures have too many pixels",
    415: "The body is of another kind, or its file cannot be read as audio, as a video or as a picture",
    422: "The request is not valid: the field, and what would be accepted",
    503: "Database, index or weights are not usable, or too many clips at the same time",
}


def possible(*statuses: int) -> dict[int, str]:
    """Problems that a route can answer with, for its documentation."""
    return {status: _DESCRIPTIONS[status] for status in statuses}


def register(app: APIFlask) -> None:
    """Turn every error of this application into a problem document."""
    for kind in EXPECTED:
        app.register_error_handler(kind, lambda error: response_of(problem_of(error)))
    app.error_processor(_http_error)


def problem_of(error: Exception) -> Problem:
    """The problem document of an `EXPECTED` error."""
    if isinstance(error, DocumentError) and error.cause is None:
        return _invalid(str(error), _errors(error, error))
    cause = error.cause if isinstance(error, DocumentError) else error
    _, sent_as, otherwise = next((row for row in _SENT_AS if isinstance(cause, row[0])), (None, None, ""))
    field = error.path if isinstance(error, DocumentError) else getattr(error, "field", sent_as)
    _, status, slug, title = next(row for row in TABLE if isinstance(cause, row[0]))
    if status >= 500:
        logger.warning("%s: %s", slug, error)
    # A driver's message spans lines and quotes SQL: its first line is what helps.
    detail = str(error.orig if isinstance(error, DBAPIError) else error).splitlines()[0]
    if isinstance(cause, MediaError):
        told = cause.reason.partition("; accepted: ")[2]
        is_sent = cause.source == UPLOAD  # else it is a file of the catalogue
        field, otherwise = (sent_as, told or otherwise) if is_sent else (None, told)
        detail = f"{sent_as}: {cause.reason}" if is_sent else detail
    return problem(
        status,
        slug,
        title,
        detail,
        field=field,
        accepted=getattr(cause, "accepted", otherwise),
        nearest=list(getattr(cause, "nearest", ())),
        errors=_errors(error, cause),
    )


def _errors(error: Exception, cause: Exception | None) -> list[dict[str, str]]:
    """Every field that is wrong, where a query or a document has fields."""
    if isinstance(error, DocumentError):
        wrong = error.wrong
    else:
        wrong = [(one.field, one.explanation) for one in cause.every] if isinstance(cause, QueryError) else []
    return [{"field": field, "reason": reason} for field, reason in wrong if field]


def problem(status: int, slug: str, title: str, detail: str, **members: Any) -> Problem:
    """One problem document; `members` are extension members, those that are empty are left out."""
    shown = {name: value for name, value in members.items() if value}
    return Problem(type=f"/problems/{slug}", title=title, status=status, detail=detail, **shown)


def response_of(problem: Problem) -> Response:
    """The document as a response."""
    response = Response(problem.model_dump_json(), status=problem.status, content_type=CONTENT_TYPE)
    if problem.type == "/problems/busy":
        response.headers["Retry-After"] = "5"
    return response


def describe(document: Any) -> Any:
    """Say in the OpenAPI document what errors look like; several blueprints may have one tag."""
    document["tags"] = list({tag["name"]: tag for tag in document.get("tags", ())}.values())
    document["components"]["schemas"]["Problem"] = Problem.model_json_schema()
    for operations in document["paths"].values():
        for operation in operations.values():
            for status, response in operation.get("responses", {}).items():
                if int(status) >= 400:
                    response["content"] = {CONTENT_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    return document


def _http_error(error: HTTPError) -> Response:
    title = error.message or "HTTP error"
    slug = title.lower().replace(" ", "-")
    detail, members = str(error.detail or ""), dict(error.extra_data or {})
    if not detail and error.status_code in _EXPLAINED:
        detail, members = _EXPLAINED[error.status_code]()
    response = response_of(problem(error.status_code, slug, title, detail or title, **members))
    for name, value in dict(error.headers or {}).items():
        if name.lower() not in ("content-type", "content-length"):
            response.headers[name] = value
    return response


def _nothing_there() -> tuple[str, dict[str, Any]]:
    near = _routes_near(request.path)
    if near == ["/v1/jobs/{job_id}"] and request.path.count("/") == near[0].count("/"):
        return f"nothing is at {request.path}: job_id is a whole number", {"nearest": near}
    hint = f"; did you mean {' or '.join(near)}? What" if near else "; what"
    there = "/ with an example, /docs to be read and tried, /openapi.json for programs"
    return f"nothing is at {request.path}{hint} there is: {there}", {"nearest": near}


def _routes_near(path: str) -> list[str]:
    """Routes as OpenAPI has them, most like this path first: parts that are filled in, with what stands there."""
    steps = [_CALLED.get(step, step) for step in path.rstrip("/").split("/")]
    ours = (rule for rule in current_app.url_map.iter_rules() if not str(rule).startswith(_ASSETS))
    routes = {_PART.sub(r"{\1}", str(rule)) for rule in ours}
    filled: dict[str, str] = {}
    for route in sorted(routes):
        of_route = route.split("/")
        given = [*steps, *of_route[len(steps) :]]
        filled["/".join(at if one.startswith("{") else one for one, at in zip(of_route, given, strict=False))] = route
    below = [route for route in sorted(routes) if route.startswith("/".join([*steps, ""])) and len(steps) > 1]
    if exact := filled.get("/".join(steps)):
        return [exact]
    return [filled[one] for one in suggested("/".join(steps), filled)] or below[:MOST]


def _not_by_this() -> tuple[str, dict[str, Any]]:
    *before, last = request.path.removeprefix("/v1/tracks/").split("/")
    rules = current_app.url_map.iter_rules()
    # A part of a track could be read as the end of a key as well, which takes other methods.
    of_part = [rule for rule in rules if before and str(rule) == f"/v1/tracks/<path:key>/{last}"]
    allowed = {method for rule in of_part for method in rule.methods or ()}
    allowed = allowed or {*current_app.url_map.bind("").allowed_methods(request.path)}
    accepted = ", ".join(sorted(allowed - {"HEAD", "OPTIONS"}))
    return f"{request.path} is not there for {request.method}; accepted: {accepted}", {"accepted": accepted}


def _too_large() -> tuple[str, dict[str, Any]]:
    limit, sent = current_app.config["MAX_CONTENT_LENGTH"], request.content_length
    accepted = f"at most {limit:,} bytes (SOUNDALIKE_MAX_UPLOAD_BYTES)"
    size = "too many" if sent is None else f"{sent:,}"
    return f"the body has {size} bytes; accepted: {accepted}", {"accepted": accepted}


_EXPLAINED: Mapping[int, Callable[[], tuple[str, dict[str, Any]]]] = {
    404: _nothing_there,
    405: _not_by_this,
    413: _too_large,
}
"""What the framework refuses by a title alone: what is wrong, and what would be accepted."""


def _invalid(detail: str, errors: list[dict[str, str]]) -> Problem:
    first = errors[0]
    accepted = first["reason"].partition("; accepted: ")[2]
    title = "The request is not valid"
    return problem(422, "invalid-request", title, detail, field=first["field"], accepted=accepted, errors=errors)
