"""What comes in over HTTP is looked at before any route: addresses and names of files are text, bodies are sound JSON.

Werkzeug puts U+FFFD where bytes are not UTF-8, so that another track would be meant than the one that was asked for.
What is in JSON's objects, documents check themselves (`api.documents.search.Strict`).
"""

from collections.abc import Iterable
from typing import Any, get_args, get_origin
from urllib.parse import unquote_to_bytes

from apiflask import APIFlask, HTTPError
from flask import abort, current_app, request
from flask.json.provider import DefaultJSONProvider
from flask.wrappers import Request
from pydantic import BaseModel

from api.documents.wellformed import DocumentError, check, check_text, parse_json
from retrieval.wording import unknown_field

_JSON, _MULTIPART = "application/json", "multipart/form-data"
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
    """A request whose body is read whole, or refused."""

    def make_form_data_parser(self) -> Any:
        """A parser that tells what it cannot read; by default the whole form would silently be empty."""
        parser = super().make_form_data_parser()
        parser.silent = False
        return parser

    def get_data(self, cache: bool = True, as_text: bool = False, parse_form_data: bool = False) -> Any:
        """The body; one that tells no length and goes on beyond the limit would be cut there without a word.

        Raises
        ------
        HTTPException
            413, as of any body that is too long.
        """
        data = super().get_data(cache=cache, as_text=as_text, parse_form_data=parse_form_data)  # type: ignore[call-overload]
        most = self.max_content_length
        untold = self.content_length is None and most is not None and len(data) >= most
        if untold and self.environ["wsgi.input"].read(1):
            abort(413)
        return data

    def get_json(self, *args: Any, **options: Any) -> Any:
        """The body as JSON's objects.

        Raises
        ------
        DocumentError
            If it is null, which would pass for an empty document.
        """
        read = super().get_json(*args, **options)
        if read is None:
            raise DocumentError("body", "is null; accepted: an object")
        return read

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
    for name, value in parts.items():
        if isinstance(value, int) and not value < 2**63:
            raise DocumentError(name, "has more than 64 bits; accepted: a whole number of at most 64 bits")
    check(dict(parts))  # before the address, so that a place is told of a key and not of all before it
    whole = next(iter(parts), "path")
    _decoded(request.environ.get("PATH_INFO", "").encode("latin-1", "replace"), whole)
    check_text(request.path, whole)
    for argument in request.environ.get("QUERY_STRING", "").encode("latin-1", "replace").split(b"&"):
        name, _, value = argument.replace(b"+", b" ").partition(b"=")
        shown = unquote_to_bytes(name).decode(errors="backslashreplace").replace("\0", "\\u0000") or "query"
        for given in (name, value):
            check_text(_decoded(unquote_to_bytes(given), shown), shown)
    if request.blueprint in _OURS:
        _check_arguments()
        _check_kind()
    if request.url_rule is not None and request.mimetype == _MULTIPART:
        _check_form()


def _check_arguments() -> None:
    """Refuse arguments of a route that takes none, and those given twice; others are their documents' to check."""
    if request.args and not _spec().get("args"):
        name = next(iter(request.args))
        raise DocumentError(name, f"unknown argument {name!r}; {request.path} takes none")
    _check_once(request.args.lists())


def _check_kind() -> None:
    """Refuse a form where JSON is read, and anything else where a form is.

    Raises
    ------
    HTTPError
    """
    accepted = _spec().get("content_type")
    is_other = request.mimetype == _MULTIPART if accepted == _JSON else request.mimetype not in ("", _MULTIPART)
    if accepted in (_JSON, _MULTIPART) and is_other:
        hint = f" (in curl, {_in_curl(_spec()['body'])})" if accepted == _MULTIPART else " (in curl, -d '{…}')"
        detail = f"body: is {request.mimetype}; accepted: {accepted}{hint}"
        raise HTTPError(415, "Unsupported Media Type", detail, extra_data={"field": "body", "accepted": accepted})


def _in_curl(form: type[BaseModel]) -> str:
    """A form's parts, as curl takes them."""
    files = {name: field.annotation for name, field in form.model_fields.items() if name.startswith("file")}
    parts = [
        f"-F {name}=@A -F {name}=@B" if get_origin(one) is list else f"-F {name}=@FILE" for name, one in files.items()
    ]
    return " ".join([*parts, *(["-F 'body={…}'"] if "body" in form.model_fields else [])])


def _spec() -> dict[str, Any]:
    """What this request's view reads: ``args``, or a ``body`` of a ``content_type``."""
    view = current_app.view_functions.get(request.endpoint or "")
    spec: dict[str, Any] = getattr(view, "_spec", {})
    return spec


def _check_once(given: Iterable[tuple[str, list[Any]]]) -> None:
    """Refuse what is given twice, of which only the first would count."""
    for name, values in given:
        if len(values) > 1:
            raise DocumentError(name, f"is given {len(values)} times; accepted: once")


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
    if _spec().get("content_type") == _MULTIPART:
        _check_parts(_spec()["body"])
        _check_once(request.form.lists())


def _check_parts(form: type[BaseModel]) -> None:
    """Refuse files that nothing would read: of an unknown name, one too many, or in the place of text."""
    annotations = {name: field.annotation for name, field in form.model_fields.items()}
    for name, several in request.files.lists():
        annotation = annotations.get(name)
        if name not in annotations:
            raise DocumentError(name, unknown_field(name, annotations))
        if str in (annotation, *get_args(annotation)):
            raise DocumentError(name, f"is a file; accepted: text (in curl, -F '{name}=<FILE', not -F '{name}=@FILE')")
        if get_origin(annotation) is not list:
            _check_once([(name, several)])


def _decoded(raw: bytes, field: str) -> str:
    try:
        return raw.decode()
    except UnicodeDecodeError as error:
        text = repr(raw.decode(errors="backslashreplace")).replace("\\\\", "\\")  # which stands for no two of them
        raise DocumentError(field, f"{text} is not UTF-8, at byte {error.start}; accepted: UTF-8") from error
