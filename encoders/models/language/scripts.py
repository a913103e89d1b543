"""What the letters themselves say: the languages that are written so, and Latin letters that spell Japanese or Chinese.

An identifier that counts letter sequences is unsure where a text is short; its script is sure all the same. Kana are
Japanese, hangul Korean, and an alphabet leaves out the languages that lack one of the letters seen. Han characters
alone are Chinese or Japanese: national character sets (Shift JIS, GB 2312, Big5) tell which of the two can write them.
"""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_right
from collections import Counter
from functools import lru_cache
from typing import TYPE_CHECKING, Final

import numpy as np

from encoders.models.language.codes import CODES, INDEX

if TYPE_CHECKING:
    from numpy.typing import NDArray

# Where each block of letters starts, and what is written in it; blocks between them are named "other".
_BLOCKS: Final = (
    (0x0041, "latin"), (0x0370, "el"), (0x0400, "cyrillic"), (0x0530, "hy"), (0x0590, "hebrew"), (0x0600, "arabic"),
    (0x0700, "other"), (0x0750, "arabic"), (0x0780, "other"), (0x08A0, "arabic"), (0x0900, "devanagari"),
    (0x0980, "bengali"), (0x0A00, "pa"), (0x0A80, "gu"), (0x0B00, "or"), (0x0B80, "ta"), (0x0C00, "te"),
    (0x0C80, "kn"), (0x0D00, "ml"), (0x0D80, "si"), (0x0E00, "th"), (0x0E80, "lo"), (0x0F00, "bo"), (0x1000, "my"),
    (0x10A0, "ka"), (0x1100, "ko"), (0x1200, "am"), (0x13A0, "other"), (0x1780, "km"), (0x1800, "mn"),
    (0x18B0, "other"), (0x1C90, "ka"), (0x1CC0, "other"), (0x1E00, "latin"), (0x1F00, "el"), (0x2000, "other"),
    (0x3005, "han"), (0x3008, "other"), (0x3040, "kana"), (0x3100, "other"), (0x3130, "ko"), (0x3190, "other"),
    (0x31F0, "kana"), (0x3200, "other"), (0x3400, "han"), (0xA000, "other"), (0xAC00, "ko"), (0xD7B0, "other"),
    (0xF900, "han"), (0xFB00, "latin"), (0xFB13, "hy"), (0xFB1D, "hebrew"), (0xFB50, "arabic"), (0xFE00, "other"),
    (0xFE70, "arabic"), (0xFF00, "latin"), (0xFF66, "kana"), (0xFFA0, "other"), (0x20000, "han"), (0x32000, "other"),
)  # fmt: skip
_STARTS: Final = tuple(start for start, _ in _BLOCKS)

_CYRILLIC: Final = "абвгдежзийклмнопрстуфхцчшщъьюя"
_ARABIC: Final = "ءآأؤإئابةتثجحخدذرزسشصضطظعغفقكلمنهوىي"
# Letters of each language; those of one script that differ in nothing are told apart by the identifier.
_ALPHABETS: Final = {
    "cyrillic": {
        "ru": _CYRILLIC + "ёыэ", "bg": _CYRILLIC, "uk": _CYRILLIC.replace("ъ", "") + "єіїґ",
        "be": "абвгдеёжзійклмнопрстуўфхцчшыьэюя", "mk": "абвгдѓежзѕијклљмнњопрстќуфхцчџш",
        "sr": "абвгдђежзијклљмнњопрстћуфхцчџш", "kk": _CYRILLIC + "ёыэәғқңөұүһі", "ky": _CYRILLIC + "ёыэңөү",
        "mn": _CYRILLIC + "ёыэөү", "tg": _CYRILLIC + "ёэғӣқӯҳҷ", "tt": _CYRILLIC + "ёыэәөүҗңһ",
        "ba": _CYRILLIC + "ёыэғҙҡңөҫүһә", "uz": _CYRILLIC + "ёэўқғҳ", "az": "абвгғдеәжзиыјкҝлмноөпрстуүфхһчҹш",
        "bs": "абвгдђежзијклљмнњопрстћуфхцчџш",
    },
    "arabic": {
        "ar": _ARABIC, "fa": _ARABIC + "پچژگکیۀ\u200c", "ur": _ARABIC + "ٹپچڈڑژکگںھہۂۃیےۓ",
        "ps": _ARABIC + "ټپځچڅډړژږښکګگڼۀیېۍئ", "sd": _ARABIC + "ٻڀٺٽٿپڄڃچڇڌڏڊڍڙڦڪگڳڱڻھہکی",
        "ug": "ئابپتجچخدرزژسشغفقكگڭلمنھوۇۆۈۋېىيە", "ku": "ئابپتجچحخدرڕزژسشعغفڤقکگلڵمنوۆهەیێھ",
        "pa": _ARABIC + "ٹپچڈڑژکگںھہیےݨ",
    },
    "devanagari": dict.fromkeys(("hi", "mr", "ne", "sa"), ""),
    "bengali": {"bn": "", "as": ""},
    "hebrew": {"he": "", "yi": ""},
    "han": {"zh": "", "ja": ""},
    "bo": {"bo": ""},
}  # fmt: skip
_NOT_LATIN: Final = (
    "ar", "as", "am", "ba", "be", "bg", "bn", "bo", "el", "fa", "gu", "he", "hi", "hy", "ja", "ka", "kk", "km", "kn",
    "ko", "ky", "lo", "mk", "ml", "mn", "mr", "my", "ne", "or", "pa", "ps", "ru", "sa", "sd", "si", "ta", "te", "tg",
    "th", "tt", "ug", "uk", "ur", "yi", "zh",
)  # fmt: skip
# A letter that a language does not have, at least in its own words.
_FOREIGN_LETTER: Final = 0.05
# Written so once, or by a few.
_SELDOM: Final = {"cyrillic": ("az", "bs", "uz"), "arabic": ("pa",)}
_SELDOM_SO: Final = 0.1
# A syllable of Chinese or Japanese is one sign, so a few of them weigh as much as a word.
_DENSE: Final = frozenset({"kana", "han", "ko"})
_LETTERS_A_SIGN: Final = 3


def count_scripts(text: str) -> Counter[str]:
    """Letters by script, or by language where it has its own script; a sign of han, kana or hangul counts as three."""
    counts: Counter[str] = Counter()
    for letter in text:
        if letter.isalpha() or letter == "々" or unicodedata.category(letter) in {"Mn", "Mc"}:
            script = _BLOCKS[max(bisect_right(_STARTS, ord(letter)) - 1, 0)][1]
            counts[script] += _LETTERS_A_SIGN if script in _DENSE else 1
    return counts


def main_script(text: str) -> str:
    """The script that names the language: the commonest one, but kana before han; an empty string without letters."""
    counts = count_scripts(text)
    if not counts:
        return ""
    # One の is an ornament in Chinese titles; a Japanese text of any length has more kana than that.
    if counts["kana"] > _LETTERS_A_SIGN or (counts["kana"] and counts["kana"] * 8 >= counts["han"]):
        counts["kana"] += counts.pop("han", 0)
    return max(counts, key=lambda script: counts[script])


def script_likelihoods(text: str) -> NDArray[np.float32]:
    """How well each language's letters can write a text [languages], in [0, 1]; ones where the letters say nothing."""
    script = main_script(text)
    if script in {"", "other"}:
        return np.ones(len(CODES), np.float32)
    if script == "latin":
        return _latin()
    likelihoods = np.zeros(len(CODES), np.float32)
    if script == "kana":
        likelihoods[INDEX["ja"]] = 1
    elif script in _ALPHABETS:
        letters = {letter for letter in text.lower() if letter.isalpha() and _script_of(letter) == script}
        for code, alphabet in _ALPHABETS[script].items():
            likelihoods[INDEX[code]] = _FOREIGN_LETTER ** min(len(letters - set(alphabet or letters)), 3)
        likelihoods[[INDEX[code] for code in _SELDOM.get(script, ())]] *= _SELDOM_SO
        _tell_apart(script, text, likelihoods)
    else:
        likelihoods[INDEX[script]] = 1
    return likelihoods


def _script_of(letter: str) -> str:
    return _BLOCKS[max(bisect_right(_STARTS, ord(letter)) - 1, 0)][1]


def _tell_apart(script: str, text: str, likelihoods: NDArray[np.float32]) -> None:
    """Signs that one of two languages has alone."""
    if script == "han":
        signs = {sign for sign in text if _script_of(sign) == "han"}
        if any(not _encodes(sign, "shift_jis") for sign in signs):
            likelihoods[INDEX["ja"]] = _FOREIGN_LETTER
        if any(not _encodes(sign, "gb2312") and not _encodes(sign, "big5") for sign in signs):
            likelihoods[INDEX["zh"]] = _FOREIGN_LETTER
    elif script == "hebrew":
        yiddish = bool(re.search(r"[װױײ]|אָ|אַ|\b(?:איז|און|דער|נישט|מיט)\b", text))
        likelihoods[INDEX["he" if yiddish else "yi"]] = _FOREIGN_LETTER**2
    elif script == "bengali":
        likelihoods[INDEX["bn" if re.search(r"[ৰৱ]", text) else "as"]] = _FOREIGN_LETTER


def _encodes(sign: str, charset: str) -> bool:
    try:
        sign.encode(charset)
    except UnicodeEncodeError:
        return False
    return True


@lru_cache(maxsize=1)
def _latin() -> NDArray[np.float32]:
    """Languages with another script are still spelt in Latin letters, in titles above all."""
    likelihoods = np.ones(len(CODES), np.float32)
    likelihoods[[INDEX[code] for code in _NOT_LATIN]] = _FOREIGN_LETTER
    return likelihoods
