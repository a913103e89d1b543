"""Ours, part by part, so that each is asked again only when it or what it builds on has changed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from api.settings import read_settings
from benchmarks.music.songs import Contour, Music, Part
from benchmarks.music.systems.system import System
from encoders.analysis.findings import COARSE
from encoders.listeners import load_music_analysis

if TYPE_CHECKING:
    from numpy.typing import NDArray


def systems() -> list[System]:
    """Rhythm and key, form, melody."""
    analysis = load_music_analysis(read_settings().weights_dir)
    rhythm_of, form_of, melody_of = analysis.rhythm, analysis.form, analysis.melody

    def rhythm(waveform: NDArray[np.float32]) -> Music:
        found, key = rhythm_of.track(waveform)
        return Music(
            beats_s=found.beats_s,
            downbeats_s=found.downbeats_s,
            tempo_bpm=found.tempo_bpm,
            key=f"{key.tonic} {key.mode}" if key is not None else None,
        )

    def form(waveform: NDArray[np.float32]) -> Music:
        found = form_of.analyse(waveform, rhythm_of.track(waveform)[0]).level(COARSE)
        return Music(parts=tuple(Part(part.start_s, part.end_s, part.label, part.group) for part in found))

    def melody(waveform: NDArray[np.float32]) -> Music:
        found = melody_of.track(waveform)
        return Music(melody=Contour(found.step_s, found.pitches.astype(np.float64), found.unvoiced.astype(np.float64)))

    told = frozenset({"beats_s", "downbeats_s", "tempo_bpm", "key"})
    return [
        System("ours", rhythm_of.version, told, rhythm),
        System("ours", f"{form_of.version} {rhythm_of.version}", frozenset({"parts"}), form),
        System("ours", melody_of.version, frozenset({"melody"}), melody),
    ]
