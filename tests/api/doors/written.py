"""Playlists as players of many kinds write them: every way to name a file, in every format and encoding."""

import unicodedata
from collections.abc import Callable, Sequence
from pathlib import Path
from urllib.parse import quote
from xml.sax.saxutils import escape

# Names that a way of writing may take for something else; é is one character here, ö two.
NAMES = (
    "plain.wav",
    "#1 Crush.wav",
    "#EXTRA.wav",
    "#EXTM3U.wav",
    "a b.wav",
    "100%25 sure.wav",
    "50%.wav",
    "Caf\u00e9.wav",
    "Mo\u0308ve.wav",
    "\u65e5\u672c \U0001f3b5.wav",
    "it's.wav",
    '"quoted".wav',
    "what? ; no #2 & <b>.wav",
    "nel\x85 and \u2028 line.wav",
    "a+b=c.wav",
    "\u202eright.wav",
    "x" * 200 + ".wav",
)
BACKSLASH = "back\\slash.wav"
LEADING = " blank .wav"

Way = Callable[[str, Path], str]


def _percent(text: str) -> str:
    return quote(text, safe="/:")


# How a name in a folder is written.
WAYS: dict[str, Way] = {
    "as it is": lambda name, folder: name,
    "from here": lambda name, folder: f"./{name}",
    "through above": lambda name, folder: f"../{folder.name}/{name}",
    "through below": lambda name, folder: f"nowhere/../{name}",
    "absolute": lambda name, folder: f"{folder}/{name}",
    "doubled slashes": lambda name, folder: f"{folder}//./{name}",
    "escaped": lambda name, folder: _percent(name),
    "escaped in lower case": lambda name, folder: _lower_escapes(_percent(name)),
    "escaped, absolute": lambda name, folder: _percent(f"{folder}/{name}"),
    "escaped of Latin-1": lambda name, folder: quote(name, safe="/", encoding="latin-1", errors="strict"),
    "file address": lambda name, folder: "file://" + _percent(f"{folder}/{name}"),
    "file address of this host": lambda name, folder: "file://localhost" + _percent(f"{folder}/{name}"),
    "file address in capitals": lambda name, folder: "FILE://LocalHost" + _percent(f"{folder}/{name}"),
    "file address, one slash": lambda name, folder: "file:" + _percent(f"{folder}/{name}"),
    "file address, not escaped": lambda name, folder: f"file://{folder}/{name}",
    "file address, relative": lambda name, folder: f"file:{_percent(name)}",
    "backslashes from here": lambda name, folder: f".\\{name}",
    "backslashes through above": lambda name, folder: f"..\\{folder.name}\\{name}",
    "backslashes, escaped": lambda name, folder: f"..\\{folder.name}\\{_percent(name)}",
    "backslashes, absolute": lambda name, folder: f"{folder}/{name}".replace("/", "\\"),
    "composed": lambda name, folder: unicodedata.normalize("NFC", name),
    "taken apart": lambda name, folder: unicodedata.normalize("NFD", name),
    "taken apart, absolute and escaped": lambda name, folder: _percent(
        unicodedata.normalize("NFD", f"{folder}/{name}")
    ),
    "capitals": lambda name, folder: name.upper() if name.upper().lower() == name.lower() else name,
    "capitals of the folder": lambda name, folder: f"../{folder.name.upper()}/{name}",
    "blanks around": lambda name, folder: f"  \t{name}\u00a0 ",
    "quotes": lambda name, folder: f'"{name}"',
    "other quotes": lambda name, folder: f"\u201c{name}\u201d",
    "quotes and blanks": lambda name, folder: f' "{folder}/{name}" ',
}


def _lower_escapes(text: str) -> str:
    return "".join(
        part[:2].lower() + part[2:] if n else part for n, part in enumerate(text.replace("%", "\0%").split("\0"))
    )


def _m3u(lines: Sequence[str]) -> str:
    return "#EXTM3U\n#PLAYLIST:Road\n" + "".join(f"#EXTINF:12,Someone\n{line}\n# a remark\n\n" for line in lines)


def _bare(lines: Sequence[str]) -> str:
    return "\n".join(lines)


def _pls(lines: Sequence[str]) -> str:
    listed = [f"File{n}={line}\nTitle{n}=x\nLength{n}=-1\n" for n, line in enumerate(lines, start=1)]
    return "[playlist]\n" + "".join(reversed(listed)) + f"NumberOfEntries={len(lines)}\nVersion=2\n"


def _cue(lines: Sequence[str]) -> str:
    return 'TITLE "x"\n' + "".join(f'FILE "{line}" WAVE\n  TRACK 01 AUDIO\n    TITLE "FILE"\n' for line in lines)


def _xspf(lines: Sequence[str]) -> str:
    tracks = "".join(f"<track><title>t</title>\n<location>{escape(line)}</location></track>\n" for line in lines)
    head = '<?xml version="1.0"?>\n<playlist version="1" xmlns="http://xspf.org/ns/0/"><title>x</title>'
    return f"{head}<trackList>\n{tracks}</trackList></playlist>"


def _encoded(encoding: str, *, mark: bytes = b"", ends: str = "\n") -> Callable[[str], bytes]:
    return lambda text: mark + text.replace("\n", ends).encode(encoding)


# The suffix, what is written, and how it becomes bytes; what an encoding lacks, the list does not have.
FORMATS: dict[str, tuple[str, Callable[[Sequence[str]], str], Callable[[str], bytes]]] = {
    "m3u8": (".m3u8", _m3u, _encoded("utf-8")),
    "without a last line break": (".m3u", _bare, _encoded("utf-8")),
    "capitals": (".M3U", _m3u, _encoded("utf-8")),
    "a mark": (".m3u8", _bare, _encoded("utf-8", mark=b"\xef\xbb\xbf", ends="\r\n")),
    "CR alone": (".m3u", _m3u, _encoded("utf-8", ends="\r")),
    "UTF-16, little end first": (".m3u", _m3u, _encoded("utf-16-le", mark=b"\xff\xfe", ends="\r\n")),
    "UTF-16, big end first": (".m3u8", _m3u, _encoded("utf-16-be", mark=b"\xfe\xff")),
    "UTF-16 without a mark": (".m3u", _m3u, _encoded("utf-16-le")),
    "UTF-32": (".m3u", _m3u, _encoded("utf-32-le", mark=b"\xff\xfe\0\0")),
    "Windows": (".m3u", _m3u, _encoded("cp1252", ends="\r\n")),
    "Latin-1": (".m3u8", _m3u, _encoded("latin-1")),
    "Cyrillic": (".m3u", _m3u, _encoded("cp1251")),
    "Japanese": (".m3u", _m3u, _encoded("shift_jis")),
    "old Macintosh": (".m3u", _m3u, _encoded("mac_roman", ends="\r")),
    "PLS": (".pls", _pls, _encoded("utf-8", ends="\r\n")),
    "PLS of Windows": (".pls", _pls, _encoded("cp1252")),
    "XSPF": (".xspf", _xspf, _encoded("utf-8")),
    "XSPF in UTF-16": (".xspf", _xspf, _encoded("utf-16")),
    "cue": (".cue", _cue, _encoded("utf-8", ends="\r\n")),
    "cue of Windows": (".cue", _cue, _encoded("cp1252")),
}


def holds(name_of_format: str, text: str) -> bool:
    """Whether a format can say a text at all."""
    suffix, _, to_bytes = FORMATS[name_of_format]
    try:
        to_bytes(text)
    except UnicodeEncodeError:
        return False
    return not (suffix == ".xspf" and any(ord(character) < 32 for character in text.strip()))


def write(path: Path, name_of_format: str, lines: Sequence[str]) -> Path:
    """Write a playlist; its suffix is the format's."""
    suffix, text_of, to_bytes = FORMATS[name_of_format]
    path = path.with_suffix(suffix)
    path.write_bytes(to_bytes(text_of(lines)))
    return path
