"""What comes in over HTTP is looked at before any route: addresses and names of files are text, bodies are sound JSON.

Werkzeug puts U+FFFD where bytes are not UTF-8, so that another track would be meant than the one that was asked for.
What is in JSON's objects, documents check themselves (`api.documents.search.Strict`).
"""

from typing import Any
from urllib.parse import unquote_to_bytes

from apiflask import APIFlask, HTTPError
from flask import current_app, request
from flask.json.provider import DefaultJSONProvider
from flask.wrappers import Request
from pydantic import BaseModel

from api.documents.wellformed import DocumentError, check, check_text, parse_json

_MULTIPART = "multipart/form-data"
_OURS = ("front", "queries", "paths", "tracks", "music", "retargeting", "operations")


class SoundJson(DefaultJSONProvider):
    """JSON as answers are written, and read so that whatever no document may hold is refused by the field's name."""

    sort_keys = False  # tags come highest first

    def loads(self, s: str | bytes, **options: Any) -> Any:
        """Read JSON.

        Raises
        ------
        ValueError, TooDeepError
        """
        return parse_json(s)


class CheckedRequest(Request):
    """A request whose forms are read, or refused."""

    def make_form_data_parser(self) -> Any:
        """A parser that tells what it cannot read; by default the whole form would silently be empty."""
        parser = super().make_form_data_parser()
        parser.silent = False
        return parser

    def on_json_loading_failed(self, error: ValueError | None) -> Any:
        """Say where a body ends to be JSON.

        Raises
        ------
        HTTPError
        """
        raise HTTPError(400, "Bad Request", f"body: is not JSON: {error}")


def register(app: APIFlask) -> None:
    """Look at every request before its route."""
    app.request_class = CheckedRequest
    app.json = SoundJson(app)
    app.before_request(_check_request)


def _check_request() -> None:
    """Refuse addresses, arguments and names of files that are no text.

    Raises
    ------
    DocumentError
        With the name of the part of the path, the argument or the field.
    """
    parts = request.view_args or {}
    whole = next(iter(parts), "path")
    _decoded(request.environ.get("PATH_INFO", "").encode("latin-1", "replace"), whole)
    check_text(request.path, whole)
    check(dict(parts))
    for argument in request.environ.get("QUERY_STRING", "").encode("latin-1", "replace").split(b"&"):
        name, _, value = argument.replace(b"+", b" ").partition(b"=")
        shown = unquote_to_bytes(name).decode(errors="backslashreplace").replace("\0", "\\u0000") or "query"
        for given in (name, value):
            check_text(_decoded(unquote_to_bytes(given), shown), shown)
    _check_arguments()
    if request.url_rule is not None and request.mimetype == _MULTIPART:
        _check_form()


def _check_arguments() -> None:
    """Refuse arguments of a route that takes none; those of others are their documents' to check."""
    view = current_app.view_functions.get(request.endpoint or "")
    if request.args and request.blueprint in _OURS and not _documents(view, "query"):
        name = next(iter(request.args))
        raise DocumentError(name, f"unknown argument {name!r}; {request.path} takes none")


def _documents(view: Any, location: str) -> list[type[BaseModel]]:
    """What a view reads its input from that place by."""
    return [schema for schema, place, *_ in getattr(view, "_spec", {}).get("args", ()) if place == location]


def _check_form() -> None:
    try:
        files = request.files
    except ValueError as error:
        reason = "is not UTF-8" if isinstance(error, UnicodeDecodeError) else f"cannot be read ({error})"
        accepted = "multipart/form-data whose names and names of files are UTF-8"
        raise DocumentError("body", f"a part of the form {reason}; accepted: {accepted}") from error
    for name in files:
        several = files.getlist(name)
        for number, file in enumerate(several):
            check_text(file.filename or "", f"{name}[{number}]" if len(several) > 1 else name)


def _decoded(raw: bytes, field: str) -> str:
    try:
        return raw.decode()
    except UnicodeDecodeError as error:
        text = raw.decode(errors="backslashreplace")
        raise DocumentError(field, f"{text!r} is not UTF-8, at byte {error.start}; accepted: UTF-8") from error
