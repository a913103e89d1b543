"""Beats and keys by others: librosa's beat tracker, BeatNet with madmom's decoder, keys by profiles of tones.

- librosa's `beat_track` is Ellis, "Beat tracking by dynamic programming", 2007; it tells no bars
- BeatNet: :mod:`benchmarks.music.beatnet`, decoded as its authors do offline, by the dynamic Bayesian network of Böck,
  Krebs and Widmer (ISMIR 2016) in `madmom-infer`, bars of two, three or four beats
- keys: the mean chroma of a track, correlated with the 24 rotations of a profile: Krumhansl and Kessler's (1982), and
  Temperley's (2007, from the Kostka-Payne corpus)
"""

from __future__ import annotations

from importlib.metadata import version
from typing import TYPE_CHECKING

import numpy as np

from benchmarks.music import beatnet
from benchmarks.music.songs import Music
from benchmarks.music.systems.system import SAMPLE_RATE, System, downbeats, tempo_of
from encoders.analysis.findings import TONICS

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

KRUMHANSL = {
    "major": (6.35, 2.23, 3.48, 2.33, 4.38, 4.09, 2.52, 5.19, 2.39, 3.66, 2.29, 2.88),
    "minor": (6.33, 2.68, 3.52, 5.38, 2.60, 3.53, 2.54, 4.75, 3.98, 2.69, 3.34, 3.17),
}
TEMPERLEY = {
    "major": (0.748, 0.060, 0.488, 0.082, 0.670, 0.460, 0.096, 0.715, 0.104, 0.366, 0.057, 0.400),
    "minor": (0.712, 0.084, 0.474, 0.618, 0.049, 0.460, 0.105, 0.747, 0.404, 0.067, 0.133, 0.330),
}


def systems() -> list[System]:
    """All of them.

    Raises
    ------
    ModuleNotFoundError
        If the extra `music-peers` is not installed.
    """
    import librosa
    from madmom_infer.features.downbeats import DBNDownBeatTrackingProcessor

    decoder = DBNDownBeatTrackingProcessor(beats_per_bar=[2, 3, 4], fps=beatnet.FPS)

    def librosa_beats(waveform: NDArray[np.float32]) -> Music:
        tempo, frames = librosa.beat.beat_track(y=waveform, sr=SAMPLE_RATE)
        beats_s = librosa.frames_to_time(frames, sr=SAMPLE_RATE)
        return Music(beats_s=beats_s, tempo_bpm=float(np.ravel(tempo)[0]) or None)

    def beatnet_beats(waveform: NDArray[np.float32]) -> Music:
        beats = decoder(beatnet.activations(waveform))
        times = beats[:, 0]
        return Music(beats_s=times, downbeats_s=downbeats(times, beats[:, 1]), tempo_bpm=tempo_of(times))

    def key_by(profiles: dict[str, tuple[float, ...]]) -> Callable[[NDArray[np.float32]], Music]:
        def hear(waveform: NDArray[np.float32]) -> Music:
            return Music(key=key_of(librosa.feature.chroma_cqt(y=waveform, sr=SAMPLE_RATE).mean(axis=1), profiles))

        return hear

    ours, theirs = version("librosa"), version("madmom-infer")
    key = frozenset({"key"})
    return [
        System("librosa", ours, frozenset({"beats_s", "tempo_bpm"}), librosa_beats),
        System(
            "BeatNet + DBN",
            f"{beatnet.WHEEL} {theirs}",
            frozenset({"beats_s", "downbeats_s", "tempo_bpm"}),
            beatnet_beats,
        ),
        System("Krumhansl", ours, key, key_by(KRUMHANSL)),
        System("Temperley", ours, key, key_by(TEMPERLEY)),
    ]


def key_of(chroma: NDArray[np.floating], profiles: dict[str, tuple[float, ...]]) -> str:
    """The key whose profile correlates best with a chroma [12] from C up."""
    scores = {
        f"{tonic} {mode}": float(np.corrcoef(np.roll(profile, number), chroma)[0, 1])
        for mode, profile in profiles.items()
        for number, tonic in enumerate(TONICS)
    }
    return max(scores, key=lambda name: scores[name])
