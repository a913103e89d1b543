"""Which voices and which music are learnt from, which choose, and which judge: parted by source, never by file.

A source is a package: its speakers, microphones and words are nowhere else. Of two that speak in many languages, each
language has speakers of its own, and the part is chosen by source and language.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

import numpy as np

from encoders.training.corpus import Waveforms, load_waveforms, read_corpus
from encoders.training.voices.clips import SAMPLE_RATE, Clip, read_clip, read_clips
from encoders.training.voices.mixes import Activity, Vocal

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


class Part(StrEnum):
    """What a source is for."""

    TRAINING = "training"
    VALIDATION = "validation"
    TEST = "test"


_VOICES: dict[str, Part] = {
    "asterisk-prompt-es-co": Part.TEST,
    "asterisk-prompt-fr-armelle": Part.TEST,
    "asterisk-prompt-it-menardi": Part.TEST,
    "drascula": Part.TEST,
    "fillets-ng-data-nl": Part.TEST,
    "tuxpaint-stamps-default": Part.TEST,
    "festival": Part.VALIDATION,
    "fillets-ng-data-cs": Part.VALIDATION,
    "flight-of-the-amazon-queen": Part.VALIDATION,
    "flite": Part.VALIDATION,
    "open-jtalk": Part.VALIDATION,
}
_KTUBERLING_TEST = ("de", "fi", "ga", "gl", "pt", "sl", "sr", "sv")
_MUSIC: dict[str, Part] = {
    **dict.fromkeys(("naev-data", "megaglest-data", "widelands-data", "wizznic-data", "zaz-data"), Part.VALIDATION),
    **dict.fromkeys(("drascula-music", "fillets-ng-data", "hedgewars-data", "redeclipse-data"), Part.TEST),
    "supertuxkart-data": Part.TEST,
}


def part_of_voice(clip: Clip) -> Part:
    """What a clip is for."""
    if clip.source == "hedgewars-data":
        return Part.VALIDATION if clip.language == "en" else Part.TEST
    if clip.source == "ktuberling-data":
        return Part.TEST if clip.language in _KTUBERLING_TEST else Part.VALIDATION
    if clip.source == "kokoro":  # neural voices: half of them judge
        return Part.TEST if sum(map(ord, clip.speaker)) % 2 else Part.TRAINING
    return _VOICES.get(clip.source, Part.TRAINING)


def part_of_music(package: str) -> Part:
    """What a package of music is for."""
    return _MUSIC.get(package, Part.TRAINING)


@dataclass(frozen=True)
class Voices:
    """Clips of one part by (language, source, speaker), spoken and sung, and the folder that they lie in."""

    folder: Path
    spoken: dict[tuple[str, str, str], list[Clip]]
    sung: dict[tuple[str, str, str], list[Clip]]

    def vocal(self, clip: Clip) -> Vocal:
        """A clip, read."""
        activity = Activity.SINGING if clip.kind == "sung" else Activity.SPEECH
        return Vocal(read_clip(self.folder / clip.path), activity, clip.language)


def read_voices(manifests: Sequence[Path], part: Part) -> Voices:
    """The clips of one part, of lists in one folder.

    Raises
    ------
    CorpusError
        If a list cannot be read.
    """
    spoken: dict[tuple[str, str, str], list[Clip]] = {}
    sung: dict[tuple[str, str, str], list[Clip]] = {}
    for clip in [clip for manifest in manifests for clip in read_clips(manifest)]:
        if part_of_voice(clip) == part:
            kind = sung if clip.kind == "sung" else spoken
            kind.setdefault((clip.language, clip.source, clip.speaker), []).append(clip)
    return Voices(manifests[0].parent, spoken, sung)


@dataclass(frozen=True)
class Beds:
    """Music of one part, decoded."""

    waveforms: Waveforms

    def cut(self, seconds: float, rng: np.random.Generator) -> np.ndarray[tuple[int], np.dtype[np.float32]]:
        """So much of some track, float32 [samples] at 16 kHz; a shorter track begins again."""
        track = int(rng.integers(len(self.waveforms)))
        length, whole = round(seconds * SAMPLE_RATE), int(self.waveforms.lengths()[track])
        offset = int(rng.integers(max(1, whole - length)))
        some = self.waveforms.crops(np.array([track]), np.array([offset]), min(length, whole))[0].numpy()
        return np.resize(some, length).astype(np.float32)


def read_beds(corpus: Path, part: Part) -> Beds:
    """The music of one part of a corpus, whose groups are packages.

    Raises
    ------
    CorpusError
        If the corpus cannot be read.
    """
    tracks = [track for track in read_corpus(corpus) if part_of_music(track.group) == part]
    return Beds(load_waveforms(corpus, tracks, sample_rate=SAMPLE_RATE))
