"""What an answer about a song is worth, 0 … 1. All by mir_eval (Raffel et al., ISMIR 2014) where it has the measure.

- beats, downbeats: F within ±70 ms; the first five seconds do not count, as is the custom there
- tempo: accuracy 1, within 4 %; accuracy 2, within 4 % of it or its double, triple, half or third (Gouyon et al., 2006)
- key: weighted score (1; .5 a fifth apart; .3 relative; .2 parallel)
- sections: F of boundaries within ±0.5 and ±3 s, without the start and the end that every answer has; pairwise F of
  frames; the share of time that has the right function, after both sides' labels are folded to seven
- melody: raw pitch and raw chroma accuracy, overall accuracy, voicing recall and false alarm (which is better low)

What the truth does not know, or a system never tells, is not judged. A system that should have told and told nothing
has 0.
"""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

import mir_eval
import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from benchmarks.music.songs import Contour, Music, Part

TEMPO_TOLERANCE = 0.04
_OCTAVES = (1 / 3, 1 / 2, 1.0, 2.0, 3.0)
_SIGNIFICANT_S = 1e-6
MEASURES = {
    "beat F": "beats_s",
    "downbeat F": "downbeats_s",
    "tempo 1": "tempo_bpm",
    "tempo 2": "tempo_bpm",
    "key": "key",
    "HR.5F": "parts",
    "HR3F": "parts",
    "pairwise F": "parts",
    "function": "parts",
    "RPA": "melody",
    "RCA": "melody",
    "OA": "melody",
    "VR": "melody",
    "VFA": "melody",
}
"""Names of the measures, and what of a song each is about."""

# Wang, Hung and Smith, "To catch a chorus, verse, intro, or anything else", ICASSP 2022: the first that is in a label.
_FUNCTIONS = {
    **{"silence": "silence", "pre-chorus": "verse", "prechorus": "verse"},
    **dict.fromkeys(("refrain", "chorus", "theme"), "chorus"),
    **dict.fromkeys(("verse", "rap", "section", "build"), "verse"),
    **dict.fromkeys(("intro", "opening"), "intro"),
    **dict.fromkeys(("bridge", "trans"), "bridge"),
    **dict.fromkeys(("out", "coda", "ending"), "outro"),
    **dict.fromkeys(("break", "inst", "interlude", "improv", "solo"), "inst"),
}


def function(label: str) -> str:
    """One of seven functions, of a label in anybody's words."""
    return next((folded for word, folded in _FUNCTIONS.items() if word in label.lower()), "inst")


def measure(truth: Music, said: Music, tells: frozenset[str]) -> dict[str, float]:
    """All measures of what the truth knows and the system tells.

    Parameters
    ----------
    tells : names of attributes of Music
    """
    known = {attribute for attribute in tells if getattr(truth, attribute) is not None}
    results: dict[str, float] = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # mir_eval's, of empty answers, whose measures are 0
        for attribute, judge in _JUDGES.items():
            if attribute in known:
                results |= judge(truth, said)
    return {name: value for name, value in results.items() if np.isfinite(value)}


def tempo_accuracies(truth_bpm: float, said_bpm: float | None) -> tuple[float, float]:
    """Accuracy 1 and 2, each 0 or 1."""
    if said_bpm is None:
        return 0.0, 0.0
    right = [abs(said_bpm - octave * truth_bpm) <= TEMPO_TOLERANCE * octave * truth_bpm for octave in _OCTAVES]
    return float(right[_OCTAVES.index(1.0)]), float(any(right))


def function_accuracy(truth: Sequence[Part], said: Sequence[Part]) -> float:
    """Share of the truth's time that has the right function; NaN where the truth names none."""
    shared = sum(
        max(0.0, min(one.end_s, other.end_s) - max(one.start_s, other.start_s))
        for one in truth
        for other in said
        if one.label and other.label and function(one.label) == function(other.label)
    )
    labelled = sum(part.end_s - part.start_s for part in truth if part.label)
    return shared / labelled if labelled else float("nan")


def _beats(truth: NDArray[np.float64] | None, said: NDArray[np.float64] | None) -> float:
    trimmed = [mir_eval.beat.trim_beats(np.empty(0) if beats is None else beats) for beats in (truth, said)]
    return float(mir_eval.beat.f_measure(*trimmed)) if len(trimmed[0]) else float("nan")


def _key(truth: str, said: str | None) -> float:
    return 0.0 if said is None else float(mir_eval.key.weighted_score(truth, said))


def _sections(truth: Sequence[Part], said: Sequence[Part]) -> dict[str, float]:
    intervals, letters = _intervals(truth)
    end_s = float(intervals.max())
    found, found_letters = _intervals([part for part in said if part.end_s - part.start_s > _SIGNIFICANT_S])
    if not len(found):
        return dict.fromkeys(("HR.5F", "HR3F", "pairwise F", "function"), 0.0)
    found, found_letters = mir_eval.util.adjust_intervals(
        found, found_letters, t_min=float(intervals.min()), t_max=end_s, start_label="none", end_label="none"
    )
    near = {
        name: mir_eval.segment.detection(intervals, found, window=window, trim=True)[2]
        for name, window in (("HR.5F", 0.5), ("HR3F", 3.0))
    }
    first_s = float(intervals.min())  # it takes them from 0 on only
    together = mir_eval.segment.pairwise(intervals - first_s, letters, found - first_s, found_letters)[2]
    named = any(part.label for part in said)
    return {**near, "pairwise F": together, "function": function_accuracy(truth, said) if named else float("nan")}


def _intervals(parts: Sequence[Part]) -> tuple[NDArray[np.float64], list[str]]:
    letters = [part.group or function(part.label or "") for part in parts]
    return np.array([[part.start_s, part.end_s] for part in parts]).reshape(-1, 2), letters


def _melody(truth: Contour, said: Contour | None) -> dict[str, float]:
    times, hertz = _hertz(truth)
    if said is None or not len(said.midi):
        said_times, said_hertz = times, np.zeros_like(hertz)
    else:
        said_times, said_hertz = _hertz(said)
    scores = mir_eval.melody.evaluate(times, hertz, said_times, said_hertz)
    names = {
        "RPA": "Raw Pitch Accuracy",
        "RCA": "Raw Chroma Accuracy",
        "OA": "Overall Accuracy",
        "VR": "Voicing Recall",
        "VFA": "Voicing False Alarm",
    }
    return {name: float(scores[long]) for name, long in names.items()}


def _hertz(contour: Contour) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """As mir_eval takes it: a pitch that is said where no melody is lies below zero, and counts in raw accuracies."""
    hertz = _hz(contour.midi)
    if contour.unvoiced is not None:
        hertz = np.where(hertz > 0, hertz, -_hz(contour.unvoiced))
    return np.arange(len(hertz)) * contour.step_s, hertz


def _hz(midi: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.where(np.isnan(midi), 0.0, 440 * 2 ** ((np.nan_to_num(midi) - 69) / 12))


_JUDGES: dict[str, Callable[[Music, Music], dict[str, float]]] = {
    "beats_s": lambda truth, said: {"beat F": _beats(truth.beats_s, said.beats_s)},
    "downbeats_s": lambda truth, said: {"downbeat F": _beats(truth.downbeats_s, said.downbeats_s)},
    "tempo_bpm": lambda truth, said: dict(
        zip(("tempo 1", "tempo 2"), tempo_accuracies(truth.tempo_bpm or 0.0, said.tempo_bpm), strict=True)
    ),
    "key": lambda truth, said: {"key": _key(truth.key or "", said.key)},
    "parts": lambda truth, said: _sections(truth.parts or (), said.parts or ()),
    "melody": lambda truth, said: {} if truth.melody is None else _melody(truth.melody, said.melody),
}
