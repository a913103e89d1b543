"""All that listens to the music of a track, and what is said of sound in which there is none.

Sound shorter than a second, or nowhere louder than −80 dB of full scale, is not given to a network: it has no beats, no
key and no melody, and is one section.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np

from encoders.analysis.findings import COARSE, FINE, Accents, Form, Melody, Rhythm, Section

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from encoders.analysis.findings import Key

SHORTEST_S = 1.0
FAINTEST = 1e-4
NO_MELODY_STEP_S = 0.1


class TracksRhythm(Protocol):
    """Finds beats and keys in a mono waveform, float32 [samples] at 22,050 Hz; safe to share between threads."""

    version: str
    sample_rate: int

    def track(self, waveform: NDArray[np.float32]) -> tuple[Rhythm, Key | None]:
        """Tempo, beats and bars, and the key; none where nothing says that it has one."""


class AnalysesForm(Protocol):
    """Finds sections, highlights and loops in a mono waveform as above; safe to share between threads."""

    version: str
    sample_rate: int

    def analyse(self, waveform: NDArray[np.float32], rhythm: Rhythm) -> Form:
        """Sections of both levels on the bars of the rhythm, and what follows from them."""


class TracksMelody(Protocol):
    """Finds the leading voice in a mono waveform as above; safe to share between threads."""

    version: str
    sample_rate: int

    def track(self, waveform: NDArray[np.float32]) -> Melody:
        """Pitches at equal steps."""


class TracksAccents(Protocol):
    """Finds onsets and loudness in a mono waveform as above; safe to share between threads."""

    version: str
    sample_rate: int

    def track(self, waveform: NDArray[np.float32]) -> Accents:
        """Onset strength and loudness at equal steps."""


@dataclass(frozen=True)
class MusicAnalysis:
    """What finds rhythm and key, form, melody, and accents."""

    rhythm: TracksRhythm
    form: AnalysesForm
    melody: TracksMelody
    accents: TracksAccents


def rhythm_and_key(tracker: TracksRhythm, waveform: NDArray[np.float32]) -> tuple[Rhythm, Key | None]:
    """What the tracker finds; in sound too short or silent neither beats nor a key."""
    if _is_music(waveform, tracker.sample_rate):
        return tracker.track(waveform)
    return Rhythm(None, np.empty(0), np.empty(0, np.int64), None, 0.0), None


def form(analyser: AnalysesForm, waveform: NDArray[np.float32], rhythm: Rhythm) -> Form:
    """What the analyser finds; sound too short or silent is one section of either level, without highlight or loop."""
    if _is_music(waveform, analyser.sample_rate):
        return analyser.analyse(waveform, rhythm)
    label, confidence = ("silence", 1.0) if _is_silent(waveform) else ("inst", 0.0)
    end_s = len(waveform) / analyser.sample_rate
    return Form(tuple(Section(0.0, end_s, level, label, "A", confidence) for level in (COARSE, FINE)), (), ())


def melody(tracker: TracksMelody, waveform: NDArray[np.float32]) -> Melody:
    """What the tracker finds; in sound too short or silent no pitch."""
    if _is_music(waveform, tracker.sample_rate):
        return tracker.track(waveform)
    steps = int(len(waveform) / tracker.sample_rate / NO_MELODY_STEP_S)
    nothing = np.full(steps, np.nan, np.float32)
    return Melody(NO_MELODY_STEP_S, nothing, nothing, 0.0)


def accents(tracker: TracksAccents, waveform: NDArray[np.float32]) -> Accents:
    """What the tracker finds; in sound too short or silent nothing at all."""
    if _is_music(waveform, tracker.sample_rate):
        return tracker.track(waveform)
    return Accents(1.0, np.empty(0, np.float32), np.empty(0, np.float32))


def _is_music(waveform: NDArray[np.float32], sample_rate: int) -> bool:
    return len(waveform) >= SHORTEST_S * sample_rate and not _is_silent(waveform)


def _is_silent(waveform: NDArray[np.float32]) -> bool:
    """Whether nothing is to be heard; NaN is no silence, and whoever listens refuses it."""
    return not len(waveform) or bool(max(waveform.max(), -waveform.min()) < FAINTEST)
