"""Which language is sung, by what is written about a track: names, lyrics, and what the file states.

Each piece of text answers how likely it is, were a language sung: it is written in that language with the probability
`own` of its kind, and else in a language of its own (English above all: an English title tells little, since songs in
every language have one). No kind may tell more than its cap: lyrics may be a translation, a title a loan word. What
this gives is a likelihood for each language, to be multiplied with what the voice says; beside it stands the posterior
under the prior of `codes`, for a track whose voice is not asked. After the text branch of LRID-Net (Choi & Wang, ISMIR
2021), with stated probabilities in the place of trained layers.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from encoders.models.language.codes import CODES, INDEX, LANGUAGES, PRIOR, normal_code
from encoders.models.language.identifier import identify
from encoders.models.language.lines import Lyrics, says_instrumental, sung_words
from encoders.models.language.lyrics import LyricsShares, share_lyrics
from encoders.models.language.scripts import main_script

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray


@dataclass(frozen=True)
class TrackText:
    """What is written about a track; each may be missing. `language` is the file's own statement, as it was written."""

    title: str | None = None
    artist: str | None = None
    album: str | None = None
    lyrics: Lyrics | None = None
    language: str | None = None


@dataclass(frozen=True)
class TextLanguage:
    """What the text says about the language that is sung.

    `log_likelihoods` and `log_probabilities` are float32 [languages] in the order of `CODES`, each adding up to one as
    probabilities: without a prior (to be added to what the voice says) and with it. `certainty` is 0 where the text
    tells nothing and 1 where it leaves one language. `sources` names what told something. `lyrics` holds shares and
    spans of the languages of the lyrics, where there are lyrics with words. `instrumental`: the text says that nothing
    is sung.
    """

    log_likelihoods: NDArray[np.float32]
    log_probabilities: NDArray[np.float32]
    certainty: float
    sources: tuple[str, ...]
    lyrics: LyricsShares | None
    instrumental: bool

    @property
    def best(self) -> tuple[str, float]:
        """The likeliest language and its probability, by the text and the prior alone."""
        index = int(self.log_probabilities.argmax())
        return CODES[index], float(np.exp(self.log_probabilities[index]))


@dataclass(frozen=True)
class _Kind:
    own: float
    cap: float  # nats


# Judged, not trained: no collection here pairs text with the language that is sung.
_TITLE: Final = _Kind(own=0.6, cap=4.0)
_ALBUM: Final = _Kind(own=0.4, cap=2.5)
_ARTIST: Final = _Kind(own=0.25, cap=2.0)
_LYRICS: Final = _Kind(own=0.95, cap=7.5)
_STATED: Final = _Kind(own=0.9, cap=5.0)
_STATED_IN_LYRICS: Final = _Kind(own=0.5, cap=2.0)
# Title, album and artist are of one hand and err together.
_NAMES_CAP: Final = 4.5
# A voice that is sure enough stands against all that is written.
_CAP: Final = 8.5
# The language of a text that is not the one that is sung.
_ENGLISH: Final = 0.6
_TELLS_SOMETHING: Final = 0.2

_NAMES: Final = "|".join(sorted(name.lower() for name in (*LANGUAGES.values(), "Mandarin", "Cantonese")))
_VERSION: Final = re.compile(rf"\b({_NAMES})\s+(?:version|ver\b|lyrics|vocals?)")
# Words that are in the names of songs of every language.
_ADDED: Final = re.compile(
    r"\b(?:feat|ft|featuring|prod|vs)\b.*|\b(?:remix(?:ed)?|remaster(?:ed)?|live|radio edit|edit|extended|version|ver"
    r"|mix|demo|acoustic|bonus|track|disc|cd|vol|volume|pt|part|op|no|nr|original|soundtrack|ost|intro|outro|theme"
    r"|unplugged|instrumental|karaoke|single|album|ep|lp|deluxe|edition"
    r"|various artists|unknown artist|unknown)\b\.?\s*\d*|\d+",
    re.IGNORECASE,
)
_INSTRUMENTAL_TITLE: Final = re.compile(
    r"[(\[\-–]\s*(?:instrumental|karaoke|off[ -]vocal|no vocals?|インスト\w*|伴奏|纯音乐)"
    r"(?:\s+(?:version|ver\.?|mix))?\s*[)\]]?\s*$",
    re.IGNORECASE,
)


def read_text(text: TrackText) -> TextLanguage:
    """What all text about a track says together; flat where there is none."""
    lines = text.lyrics.lines if text.lyrics else ()
    shares = share_lyrics(lines)
    names = dict(_names(text))
    told = dict(_stated(text))
    if shares:
        told["lyrics"] = _likelihoods(shares.written, _LYRICS)
    log_likelihoods = np.zeros(len(CODES))
    for likelihoods in (_capped(sum(names.values(), np.zeros(len(CODES))), _NAMES_CAP), *told.values()):
        log_likelihoods = log_likelihoods + likelihoods
    log_likelihoods = _capped(log_likelihoods, _CAP)
    normalised = _normalised(log_likelihoods)
    return TextLanguage(
        log_likelihoods=normalised,
        log_probabilities=_normalised(log_likelihoods + np.log(PRIOR)),
        certainty=float(np.clip(1 + np.sum(np.exp(normalised) * normalised) / np.log(len(CODES)), 0, 1)),
        sources=tuple(name for name, values in (names | told).items() if np.ptp(values) > _TELLS_SOMETHING),
        lyrics=shares,
        instrumental=shares is None and _says_instrumental(text),
    )


def _names(text: TrackText) -> Iterator[tuple[str, NDArray[np.float64]]]:
    for name, value, kind in (
        ("title", text.title, _TITLE),
        ("album", text.album, _ALBUM),
        ("artist", text.artist, _ARTIST),
    ):
        words = _name_words(value or "")
        if words:
            yield name, _likelihoods(np.exp(identify(words)), kind)


def _name_words(name: str) -> str:
    """A name without what is in the names of songs of any language; where it is given in two scripts, the other one."""
    words = _ADDED.sub(" ", _VERSION.sub(" ", name.lower()))
    signs = [sign for sign in words if not sign.isalpha() or main_script(sign) not in {"latin", "other"}]
    if sum(sign.isalpha() for sign in signs) >= 2:
        words = "".join(signs)
    return sung_words(words)


def _stated(text: TrackText) -> Iterator[tuple[str, NDArray[np.float64]]]:
    version = _VERSION.search((text.title or "").lower())
    for name, spelling, kind in (
        ("language", text.language, _STATED),
        ("version", version and version[1], _STATED),
        ("lyrics_language", text.lyrics and text.lyrics.language, _STATED_IN_LYRICS),
    ):
        code = normal_code(spelling or "")
        if code:
            stated = np.full(len(CODES), 1e-6)
            stated[INDEX[code]] = 1
            yield name, _likelihoods(stated, kind)


def _likelihoods(written: NDArray[np.floating], kind: _Kind) -> NDArray[np.float64]:
    """Log-likelihoods [languages] of a text that is written in a language with these probabilities [languages]."""
    elsewhere = (1 - _ENGLISH) * PRIOR.astype(np.float64)
    elsewhere[INDEX["en"]] += _ENGLISH
    return _capped(np.log(kind.own * written + (1 - kind.own) * float(elsewhere @ written)), kind.cap)


def _capped(log_likelihoods: NDArray[np.float64], cap: float) -> NDArray[np.float64]:
    capped: NDArray[np.float64] = np.maximum(log_likelihoods - log_likelihoods.max(), -cap)
    return capped


def _normalised(log_likelihoods: NDArray[np.float64]) -> NDArray[np.float32]:
    normalised: NDArray[np.float32] = (log_likelihoods - np.logaddexp.reduce(log_likelihoods)).astype(np.float32)
    return normalised


def _says_instrumental(text: TrackText) -> bool:
    lines = text.lyrics.lines if text.lyrics else ()
    return bool(
        says_instrumental(line.text for line in lines)
        or (text.language or "").strip().lower() == "zxx"
        or _INSTRUMENTAL_TITLE.search(text.title or "")
    )
