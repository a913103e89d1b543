"""Sentences for a synthesiser to read: out of translations, compiled by gettext (``.mo``).

Kept is what reads like a sentence: closed by a full stop or the like, without markup, numbers or placeholders, all of
its letters in the script of its language.
"""

from __future__ import annotations

import gettext
import html
import re
import struct
import unicodedata
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

_SAME = (
    *("bg", "bn", "ca", "cs", "da", "de", "el", "eo", "es", "et", "eu", "fa", "fi", "fr", "gl", "he", "hi", "hr", "hu"),
    *("id", "is", "it", "ja", "ko", "la", "lt", "lv", "mr", "nl", "pl", "pt", "ro", "ru", "sk", "sl", "sr", "sv", "ta"),
    *("te", "tr", "uk"),
)
LOCALES = {**{code: code for code in _SAME}, "nb_NO": "no", "zh_CN": "zh"}
"""Locales whose translations are read, and their language (ISO 639-1)."""

ENGLISH_FROM = "fr"
"""The locale whose untranslated side gives English."""

_SCRIPTS = {
    **dict.fromkeys(("bg", "ru", "sr", "uk"), "CYRILLIC"),
    **dict.fromkeys(("hi", "mr"), "DEVANAGARI"),
    **{"bn": "BENGALI", "el": "GREEK", "fa": "ARABIC", "he": "HEBREW", "ta": "TAMIL", "te": "TELUGU"},
    **{"ja": "CJK HIRAGANA KATAKANA", "ko": "HANGUL", "zh": "CJK"},
}
_DENSE = frozenset({"ja", "ko", "zh"})  # a character says more than a letter
_STOPS = ".!?…।\u3002\uff01\uff1f"  # the last three as Chinese and Japanese write them
_WIDE = "\u3002\uff01\uff1f」』"  # after these no space is written
_END = re.compile(rf"(?<=[{_STOPS}])[\"”»\u2019」』]*\s*(?:\n|\s|(?<=[{_WIDE}]))")
_UNREADABLE = re.compile(r"[$%{}\[\]|<>=_\\/@#~^*+•:;()\d]")
_AROUND = ' "“”„«»「」『』-–—'
_CONTEXT = re.compile(r"^[^\n^]*\^")  # Wesnoth writes what a text is about in front of it


def sentences(texts: Iterable[str], language: str) -> list[str]:
    """The sentences of texts in a language (ISO 639-1), each once, in their order."""
    found = (sentence for text in texts for sentence in _split(text) if _reads_well(sentence, language))
    return list(dict.fromkeys(found))


def translations(folder: Path, language: str) -> Iterator[str]:
    """The texts in a language of a folder of ``<locale>/**/*.mo``; a file that is no catalogue gives none."""
    locales = [ENGLISH_FROM] if language == "en" else [name for name, code in LOCALES.items() if code == language]
    for locale in locales:
        for path in sorted((folder / locale).rglob("*.mo")):
            try:
                with path.open("rb") as file:
                    catalogue = gettext.GNUTranslations(file)
            except (OSError, ValueError, struct.error):
                continue
            for source, text in catalogue._catalog.items():  # type: ignore[attr-defined]
                original = source if isinstance(source, str) else source[0]
                if language == "en":
                    yield _CONTEXT.sub("", original)
                elif text != original:
                    yield text


def _split(text: str) -> Iterator[str]:
    for paragraph in re.sub(r"<[^>]*>", "", html.unescape(text)).split("\n"):
        for sentence in _END.split(paragraph):
            yield re.sub(r"\s+", " ", sentence).strip(_AROUND)


def _reads_well(sentence: str, language: str) -> bool:
    shortest, longest = (8, 70) if language in _DENSE else (22, 130)
    if not shortest <= len(sentence) <= longest or _UNREADABLE.search(sentence):
        return False
    if not unicodedata.category(sentence[-1]).startswith("P") or (language not in _DENSE and sentence.count(" ") < 3):
        return False
    scripts = tuple(_SCRIPTS.get(language, "LATIN").split())
    return all(unicodedata.name(char, "").startswith(scripts) for char in sentence if char.isalpha() and char != "ー")
