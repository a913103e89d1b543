"""Speech by espeak-ng, in many languages by several voices: formants, not people, but every language from one machine.

espeak-ng (GPL-3+, what it says is free) reads Japanese and Chinese only as kana and pinyin: `pyopenjtalk` and
`pypinyin` (both MIT) write them, and the languages are left out where those are not installed.
"""

from __future__ import annotations

import importlib
import random
import shutil
import subprocess
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from encoders.errors import MediaError
from encoders.media.decode import decode
from encoders.media.decoded import MediaLimits
from encoders.training.corpus import CorpusError
from encoders.training.voices.clips import SAMPLE_RATE
from encoders.training.voices.speakers import Speaker

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import numpy as np
    from numpy.typing import NDArray

VARIANTS = ("m1", "f2", "m3", "f4", "m7", "f5", "klatt", "klatt3", "m5", "f1", "Annie", "Andy")
"""Voices of espeak-ng: men, women, and other ways to make a formant."""

FEWEST_SENTENCES = 40

_ACCENTS = {
    "en": ("en-us", "en-gb", "en-gb-scotland"),
    "es": ("es", "es-419"),
    "fr": ("fr-fr", "fr-be"),
    "pt": ("pt", "pt-br"),
    "no": ("nb",),
    "zh": ("cmn-latn-pinyin",),
}
_WORDS_A_MINUTE, _PITCH = (125, 185), (30, 72)
_LICENCE = "GPL-3+ (the synthesiser)"
_LIMITS = MediaLimits(0.05, 60.0)


@dataclass(frozen=True)
class Voice:
    """One of espeak-ng's voices in a language, with a rate (words a minute) and a pitch (0 to 99) of its own."""

    language: str
    name: str
    words_a_minute: int
    pitch: int

    @property
    def speaker(self) -> Speaker:
        """As which a folder of voices lists it."""
        return Speaker(self.language, self.name, "espeak-ng", "synthesised", _LICENCE)


def voices(language: str, *, count: int, seed: int = 0) -> list[Voice]:
    """`count` voices for a language (ISO 639-1), other ones than most other languages get; none if it speaks it not.

    Raises
    ------
    CorpusError
        If espeak-ng is not installed.
    """
    accents = [accent for accent in _ACCENTS.get(language, (language,)) if accent in _spoken(find_espeak())]
    rng = random.Random(f"{seed}/{language}")
    chosen = rng.sample(VARIANTS, min(count, len(VARIANTS))) if accents else []
    return [
        Voice(language, f"{accents[at % len(accents)]}+{variant}", rng.randint(*_WORDS_A_MINUTE), rng.randint(*_PITCH))
        for at, variant in enumerate(chosen)
    ]


def spelling(language: str) -> Callable[[str], str]:
    """How a sentence is written for espeak-ng.

    Raises
    ------
    CorpusError
        If the library that writes this language is not installed.
    """
    try:
        if language == "ja":
            openjtalk = importlib.import_module("pyopenjtalk")
            return lambda sentence: str(openjtalk.g2p(sentence, kana=True))
        if language == "zh":
            pinyin = importlib.import_module("pypinyin")
            return lambda sentence: " ".join(pinyin.lazy_pinyin(sentence, style=pinyin.Style.TONE3))
    except ImportError as error:
        package = {"ja": "pyopenjtalk-plus", "zh": "pypinyin"}[language]
        raise CorpusError(f"{language}: espeak-ng does not read it as it is written; pip install {package}") from error
    return str


def spoken(voice: Voice, sentences: Sequence[str], *, seconds: float) -> Iterator[NDArray[np.float32]]:
    """What a voice makes of sentences, float32 [samples] at 16 kHz each, until there are `seconds` or no more.

    Raises
    ------
    CorpusError
        If espeak-ng or a library is missing, or it reads none of the sentences.
    """
    espeak, spell, done_s = find_espeak(), spelling(voice.language), 0.0
    in_turn = list(sentences)
    random.Random(voice.name).shuffle(in_turn)
    manner = ["-v", voice.name, "-s", str(voice.words_a_minute), "-p", str(voice.pitch)]
    for sentence in in_turn:
        if done_s >= seconds:
            return
        said = subprocess.run([espeak, *manner, "--stdout", "--", spell(sentence)], capture_output=True, check=False)
        try:
            speech = decode(said.stdout, sample_rates=[SAMPLE_RATE], limits=_LIMITS).waveforms[SAMPLE_RATE]
        except MediaError:
            continue
        done_s += len(speech) / SAMPLE_RATE
        yield speech
    if done_s == 0:
        raise CorpusError(f"{voice.language}: espeak-ng's {voice.name} read none of {len(in_turn)} sentences")


def find_espeak() -> str:
    """The program.

    Raises
    ------
    CorpusError
        If it is not installed.
    """
    path = shutil.which("espeak-ng")
    if path is None:
        raise CorpusError("espeak-ng is not on the PATH: install it (Debian: espeak-ng), or pass --no-synthesis")
    return path


@cache
def _spoken(espeak: str) -> frozenset[str]:
    """The names of languages and accents that it has."""
    listed = subprocess.run([espeak, "--voices"], capture_output=True, text=True, errors="replace", check=False)
    return frozenset(line.split()[1] for line in listed.stdout.splitlines()[1:] if len(line.split()) > 1)
