"""Voices over music with a known truth: who is heard when, singing or speaking, in which language.

lay out (:func:`place`, :func:`place_by_shares`) → mix at a signal-to-noise ratio (:func:`mix`) → master
(:mod:`.mastering`). Waveforms are float32 [samples] at 16 kHz. The truth is what sounds of the voices before
anything is done to the mix: spans, in which a silence of up to half a second counts as singing or speech going on.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

import numpy as np

from encoders.training.corpus import CorpusError
from encoders.training.voices.clips import SAMPLE_RATE, active, at_level

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

    Waveform = NDArray[np.float32]
    Bed = Waveform | Callable[[int], Waveform]

_CLOSED_S = 0.5
_FADE = SAMPLE_RATE // 50
_LEAST_S = 0.3  # a shorter rest of a clip is not worth singing
_FLOOR_DB = -30.0  # below its own mean power music counts as this loud: SNR against a break would be infinite


class Activity(StrEnum):
    """What a voice does."""

    SINGING = "singing"
    SPEECH = "speech"


@dataclass(frozen=True)
class Vocal:
    """A voice alone: its waveform, what it does, and in which language (ISO 639-1)."""

    waveform: Waveform
    activity: Activity
    language: str


@dataclass(frozen=True)
class Placed:
    """A voice, and the second of the track at which it begins."""

    vocal: Vocal
    start_s: float


@dataclass(frozen=True)
class Span:
    """Seconds [start, end) of a track in which a voice sounds."""

    start_s: float
    end_s: float
    activity: Activity
    language: str


@dataclass(frozen=True)
class Mix:
    """A track: its waveform, the voices in it at the level that they have there, and the truth."""

    waveform: Waveform
    voices: Waveform
    spans: list[Span]

    def shares(self) -> dict[str, float]:
        """Share of the time of all voices by language; empty without voices."""
        lengths: dict[str, float] = {}
        for span in self.spans:
            lengths[span.language] = lengths.get(span.language, 0.0) + span.end_s - span.start_s
        whole = sum(lengths.values())
        return {language: length / whole for language, length in sorted(lengths.items())}

    def seconds(self) -> list[tuple[Activity, str] | None]:
        """What most of every second is: activity and language, None where no voice sounds for half of it."""
        found: list[tuple[Activity, str] | None] = []
        for second in range(-(-len(self.waveform) // SAMPLE_RATE)):
            heard: dict[tuple[Activity, str], float] = {}
            for span in self.spans:
                both = (span.activity, span.language)
                heard[both] = heard.get(both, 0.0) + max(0.0, min(span.end_s, second + 1) - max(span.start_s, second))
            found.append(max(heard, key=lambda both: heard[both]) if sum(heard.values()) >= 0.5 else None)
        return found


def place(vocals: Sequence[Vocal], seconds: float, rng: np.random.Generator) -> list[Placed]:
    """Voices one after the other, in the order given, with the rest of the track as gaps of chance between them.

    Raises
    ------
    CorpusError
        If they are longer than the track.
    """
    free = seconds - sum(len(vocal.waveform) for vocal in vocals) / SAMPLE_RATE
    if free < 0:
        raise CorpusError(f"{seconds - free:.1f} s of voices do not fit in a track of {seconds:.1f} s")
    gaps = free * rng.dirichlet(np.ones(len(vocals) + 1))
    placed, now = [], 0.0
    for vocal, gap in zip(vocals, gaps, strict=False):
        now += gap
        placed.append(Placed(vocal, now))
        now += len(vocal.waveform) / SAMPLE_RATE
    return placed


def place_by_shares(
    pools: Mapping[str, Sequence[Vocal]], vocal_s: Mapping[str, float], seconds: float, rng: np.random.Generator
) -> list[Placed]:
    """Voices of several languages, so many seconds of each, shuffled; the last one of a language is cut to fit.

    Parameters
    ----------
    pools : by language, voices to choose from; each is taken once before any is taken again
    vocal_s : by language, how long it is heard
    seconds : length of the track

    Raises
    ------
    CorpusError
        If a language has no voices, or all are longer than the track.
    """
    chosen: list[Vocal] = []
    for language, wanted_s in vocal_s.items():
        if not pools.get(language) or not all(len(vocal.waveform) for vocal in pools[language]):
            raise CorpusError(f"no voice in {language!r} (there are: {', '.join(sorted(pools)) or 'none'})")
        left = round(wanted_s * SAMPLE_RATE)
        while left >= _LEAST_S * SAMPLE_RATE:
            for index in rng.permutation(len(pools[language])):
                vocal = pools[language][int(index)]
                if left >= _LEAST_S * SAMPLE_RATE:
                    chosen.append(Vocal(vocal.waveform[:left], vocal.activity, vocal.language))
                    left -= len(chosen[-1].waveform)
    return place([chosen[int(index)] for index in rng.permutation(len(chosen))], seconds, rng)


def mix(bed: Bed, placed: Sequence[Placed], seconds: float, *, snr_db: float) -> Mix:
    """Voices over music.

    Parameters
    ----------
    bed : music without voices, which begins again where it ends before the track; or what makes so many samples of it
    placed : voices, which may overlap; each is brought to one level first
    seconds : length of the track; a voice is cut at its end
    snr_db : power of the voices over that of the music, both where a voice sounds

    Raises
    ------
    CorpusError
        If the bed is empty.
    """
    length = round(seconds * SAMPLE_RATE)
    music = bed(length) if callable(bed) else bed
    if not len(music):
        raise CorpusError("music without samples")
    music = np.resize(music, length).astype(np.float32)
    voices, sounding, spans = np.zeros(length, np.float32), np.zeros(length, bool), []
    for one in placed:
        start = round(one.start_s * SAMPLE_RATE)
        waveform = _faded(at_level(one.vocal.waveform))[: max(0, length - start)]
        heard = active(waveform)
        voices[start : start + len(waveform)] += waveform
        sounding[start : start + len(waveform)] |= heard
        spans += [
            Span((start + first) / SAMPLE_RATE, (start + last) / SAMPLE_RATE, one.vocal.activity, one.vocal.language)
            for first, last in _runs(heard, closed=round(_CLOSED_S * SAMPLE_RATE))
        ]
    if sounding.any():
        floor = _power(music) * 10 ** (_FLOOR_DB / 10)
        wanted = max(_power(music[sounding]), floor) * 10 ** (snr_db / 10)
        if wanted:
            voices *= np.float32(np.sqrt(wanted / _power(voices[sounding])))
    return Mix(music + voices, voices, sorted(spans, key=lambda span: span.start_s))


def _power(waveform: Waveform) -> float:
    return float((waveform.astype(np.float64) ** 2).mean())


def _faded(waveform: Waveform) -> Waveform:
    """Its ends faded over 20 ms: a clip that was cut would click."""
    faded = waveform.copy()
    fade = min(_FADE, len(faded) // 2)
    ramp = np.linspace(0, 1, fade, dtype=np.float32)
    faded[:fade] *= ramp
    faded[len(faded) - fade :] *= ramp[::-1]
    return faded


def _runs(mask: NDArray[np.bool_], *, closed: int) -> list[tuple[int, int]]:
    """Runs [first, last) of true, over gaps of up to so many."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], mask, [False]]).astype(np.int8)))
    runs: list[tuple[int, int]] = []
    for first, last in edges.reshape(-1, 2).tolist():
        if runs and first - runs[-1][1] <= closed:
            runs[-1] = (runs[-1][0], last)
        else:
            runs.append((first, last))
    return runs
