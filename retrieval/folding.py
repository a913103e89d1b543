"""When two names are the same to whoever asks: case, accents and forms of writing do not tell them apart.

Folded are, by the Unicode Standard: compatibility forms (chapter 3.11, NFKD: full and half width, ligatures, composed
and decomposed), case (section 3.13, full case folding: ``ß`` and ``ẞ`` are ``ss``) and the diacritical marks of Latin,
Greek and Cyrillic. Marks of other scripts are letters there and stay: ``が`` is not ``か``. Letters that people write
without their stroke or dot, and have no decomposition, are as in the Unicode Collation Algorithm's first level (UTS 10)
the plain ones, as are typographic apostrophes, quotes and hyphens, and blanks of any kind and number.
"""

from __future__ import annotations

import re
import unicodedata

_MARKS = re.compile("[\u0300-\u0344\u0346-\u036f\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe20-\ufe2f]+")
"""The blocks of combining diacritical marks, but for Greek's iota below, which is a letter in capitals. Voicing of
kana, and vowels of Thai or Hindi, lie in none of them."""
_PLAIN = str.maketrans(
    {
        **{"ø": "o", "ł": "l", "đ": "d", "ð": "d", "ħ": "h", "ŧ": "t", "\u0131": "i", "æ": "ae", "œ": "oe"},
        **dict.fromkeys("\u2018\u2019\u201b\u02bc\u2032\u00b4`", "'"),
        **dict.fromkeys("\u201c\u201d\u201f\u2033", '"'),
        **dict.fromkeys("\u2010\u2011\u2012\u2013\u2014\u2212", "-"),
    }
)


def folded(text: str) -> str:
    """A text as it is compared; folding twice changes nothing.

    ``Björk`` and ``BJORK`` are ``bjork``, ``İstanbul`` is ``istanbul``, ``Straße`` is ``strasse``.
    """
    if text.isascii():
        return " ".join(text.lower().replace("`", "'").split())
    # Marks before case and once more behind it: "İ" would fold to "i" with a dot above, and some folds bring marks.
    apart = unicodedata.normalize("NFKD", text.translate(_PLAIN))
    lower = unicodedata.normalize("NFKD", _MARKS.sub("", apart).casefold())
    plain = _MARKS.sub("", lower).translate(_PLAIN)
    return unicodedata.normalize("NFC", " ".join(plain.split()))
