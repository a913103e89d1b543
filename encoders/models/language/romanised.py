"""Japanese and Chinese in Latin letters, which identifiers take for Italian, Swahili or Indonesian.

Both spell syllables out of a short list (Hepburn, pinyin without tones), so a text that is no such sequence is ruled
out; of those that are, some syllables (`tsu`, `shi`) tell more. What remains open is shared, since "Roma" and "Sahara"
are sequences of such syllables too: a guess that keeps other answers from being sure.
"""

from __future__ import annotations

import re
import unicodedata
from math import exp
from typing import TYPE_CHECKING, Final

from encoders.models.language.codes import INDEX

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_MORA: Final = (
    r"(?:k(?=k)|s(?=s)|t(?=t|c)|p(?=p))?(?:sh[aiueo]|ch[aiueo]|ts[ua]|[kgnhbpmr]y[auo]|j[aiueo]|f[ua]|w[ao]|y[auo]"
    r"|[kgsztdnhbpmr][aiueo]|[aiueo]|n(?![aiueoy])|n'|m(?=[mbp]))"
)
_ROMAJI: Final = re.compile(rf"(?:{_MORA})+")
_SYLLABLE: Final = re.compile(_MORA)
_INITIAL: Final = r"(?:zh|ch|sh|[bpmfdtnlgkhjqxrzcsyw])?"
_FINAL: Final = (
    r"(?:iang|iong|uang|ang|eng|ing|ong|ian|iao|uai|uan|ai|an|ao|ei|en|er|ia|ie|in|iu|ou|ua|ue|ui|un|uo|a|e|i|o|u|v)"
)
_PINYIN: Final = re.compile(rf"(?:{_INITIAL}{_FINAL}){{1,3}}")
_PARTICLE: Final = re.compile(r"no|w[ao]|ga|n[ia]|mo|to|ka(?:ra)?|de(?:su)?|made|kimi|boku|watashi|ai")
# Log-odds of each syllable in words of Japanese against words of two dozen other languages that are spelt likewise.
_WEIGHTS: Final = {
    mora: weight
    for weight, morae in (
        (-2.0, "che di du e fa hu ja je m ne pa pe pi po pu si ssa sse ssi sso ti tti tu zi"),
        (-1.5, "a be cha nu ttu"),
        (-1.0, "da ge gi gu me n nya ppe ppu ssu"),
        (-0.5, "bi bo de do go he kka mu o ra re ro tto za ze"),
        (0.5, "bu cho ga ho i ju ke kke mo rya ta tte u"),
        (1.0, "fu ka myo ni no nyu sha sshi to wa zo zu"),
        (1.5, "byo chu gyo ha hi ku su ya yo"),
        (2.0, "chi hyo ji ki ko kyo kyu ru ryo shi sho shu tsu wo yu"),
    )
    for mora in morae.split()
}
_CHINESE: Final = re.compile(r"zh|[xq][iu]|[aeo]ng|[iu]an|ao|u[eoi]|iu")

_LONG: Final = "\u0304\u0302"
_TONES: Final = "\u0304\u0301\u030c\u0300\u0308"


def with_romanised(text: str, written: NDArray[np.float64]) -> NDArray[np.float64]:
    """Move probability [languages] of a text in Latin letters to the language that it may be a romanisation of."""
    japanese, chinese = romaji(text), pinyin(text)
    if not japanese and not chinese:
        return written
    moved = written * (1 - japanese) * (1 - chinese)
    moved[INDEX["ja"]] += japanese * (1 - chinese)
    moved[INDEX["zh"]] += chinese
    result: NDArray[np.float64] = moved / moved.sum()
    return result


def romaji(text: str) -> float:
    """How likely a text is Japanese in Latin letters, in [0, 1]: 0 where it is no sequence of such syllables."""
    words = _words(text, marks=_LONG)
    if not words:
        return 0.0
    spelt = sum(len(word) for word in words if _ROMAJI.fullmatch(word)) / sum(map(len, words))
    if spelt < 0.8:
        return 0.0
    particles = sum(bool(_PARTICLE.fullmatch(word)) for word in words[1:])
    weights = sum(_WEIGHTS.get(mora, 0.0) for word in words for mora in _SYLLABLE.findall(word))
    return _probability(-1.5 + 10 * (spelt - 1) + 0.5 * min(particles, 4) + 0.6 * weights)


def pinyin(text: str) -> float:
    """How likely a text is Chinese in Latin letters, in [0, 1]."""
    words = _words(text, marks=_TONES)
    if len(words) < 2 or not all(_PINYIN.fullmatch(word) for word in words):
        return 0.0
    signs = sum(len(_CHINESE.findall(word)) for word in words)
    return _probability(-3.5 + min(signs, 5))


def _probability(log_odds: float) -> float:
    return 1 / (1 + exp(-min(max(log_odds, -20.0), 20.0)))


def _words(text: str, marks: str) -> list[str]:
    """Lower-case words of Latin letters without these marks; none where other marks or letters stand among them."""
    plain = "".join(x for x in unicodedata.normalize("NFD", text.lower()) if x not in marks)
    if any((x.isalpha() and not x.isascii()) or unicodedata.category(x) == "Mn" for x in plain):
        return []
    return re.findall(r"[a-z']*[a-z][a-z']*", plain)
