"""Which names a line of a playlist may mean: as it stands first, then as other players and systems write the same."""

import re
import unicodedata
from collections.abc import Iterator
from urllib.parse import unquote_to_bytes

_BLANKS = " \t\v\f\xa0\u3000\ufeff\u200b"
_QUOTES = {'"': '"', "'": "'", "“": "”", "«": "»", "\u2018": "\u2019"}
_ADDRESS = re.compile(r"[a-z][a-z0-9+.-]+://", re.IGNORECASE)
_PERCENT = re.compile(r"%[0-9a-f]{2}", re.IGNORECASE)
_DRIVE = re.compile(r"/*([a-z])[:|](?=[/\\]|$)", re.IGNORECASE)
_HERE = ("", "localhost", "127.0.0.1", ".")


def variants(text: str) -> list[str]:
    """Names that a text may mean, the likeliest first: keys, or paths with slashes; relative ones of any place."""
    names: dict[str, None] = {}
    for plain in dict.fromkeys((text, text.strip(_BLANKS), _unquoted(text.strip(_BLANKS)))):
        names |= dict.fromkeys(_written(plain))
    return [name for name in names if name and "\0" not in name]


def components(name: str) -> tuple[str, ...]:
    """The steps of a path of any system, without its drive; ``..`` takes one back."""
    steps: list[str] = []
    address = _ADDRESS.match(name)
    path = name[address.end() :].split("?")[0] if address else _DRIVE.sub("/", name.replace("\\", "/"), count=1)
    for step in path.split("/"):
        if step == ".." and steps:
            steps.pop()
        elif step not in ("", ".", "..", "?"):
            steps.append(step)
    return tuple(steps)


def folded(text: str) -> str:
    """The text without what systems that do not tell names apart by it lose: composition and case."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", text).casefold())


def composed(text: str) -> str:
    """The text in one form of composition: Linux keeps what it is given, macOS took letters apart."""
    return unicodedata.normalize("NFC", text)


def is_address(text: str) -> bool:
    """Whether it is one on the network."""
    found = _ADDRESS.match(text.strip(_BLANKS))
    return found is not None and not found[0].lower().startswith("file:")


def _written(name: str) -> Iterator[str]:
    """A name, and what it is with its escapes resolved."""
    yield name
    if name.lower().startswith("file:"):
        place = _place(name)
        yield from _unescaped(place)
        yield place
        return
    yield from _unescaped(name)
    if "\\" in name and not is_address(name):
        yield from _written(name.replace("\\\\?\\UNC\\", "//").replace("\\\\?\\", "").replace("\\", "/"))


def _place(address: str) -> str:
    """The path of a ``file:`` address, its escapes as they are: what `urlsplit` takes for a query may be a name."""
    rest = address[len("file:") :].replace("\\", "/")
    if rest.startswith("//"):
        host, slash, path = rest[2:].partition("/")
        if _DRIVE.match(host + slash):
            rest = host + slash + path
        elif host.lower() in _HERE:
            rest = slash + path
    drive = _DRIVE.match(rest)
    return f"{drive[1]}:{rest[drive.end() :]}" if drive else rest


def _unescaped(name: str) -> Iterator[str]:
    """The name with its ``%20`` resolved, if there are any."""
    if not _PERCENT.search(name):
        return
    raw = unquote_to_bytes(name.encode("utf-8", "surrogateescape"))
    try:
        yield raw.decode()
    except UnicodeDecodeError:
        yield raw.decode("cp1252", "replace")
        yield raw.decode("utf-8", "surrogateescape")


def _unquoted(name: str) -> str:
    return name[1:-1].strip(_BLANKS) if len(name) > 1 and _QUOTES.get(name[0]) == name[-1] else name
