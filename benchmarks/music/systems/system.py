"""One who is judged: a name, a version, what it tells about a song, and how. Answers are kept on disk by these."""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.music.songs import Contour, Music, Part
from encoders.media.decode import decode
from encoders.media.decoded import MediaLimits

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import NDArray

SAMPLE_RATE = 22_050
LIMITS = MediaLimits(max_duration_s=2 * 3600.0)


@dataclass(frozen=True)
class System:
    """A system.

    Attributes
    ----------
    version : of what its answers depend on; answers of another are not used again
    tells : names of the attributes of Music that it answers
    hear : an answer about a waveform float32 [samples] at 22,050 Hz
    """

    name: str
    version: str
    tells: frozenset[str]
    hear: Callable[[NDArray[np.float32]], Music]


def answer(system: System, audio: Path, cache: Path) -> Music:
    """What a system says about a file, from the cache if it was asked before."""
    status = audio.stat()
    asked = f"{system.name}\n{system.version}\n{audio.absolute()}\n{status.st_size}\n{status.st_mtime_ns}"
    kept = cache / f"{hashlib.sha256(asked.encode()).hexdigest()[:32]}.json"
    if kept.is_file():
        return _from_json(json.loads(kept.read_text()))
    waveform = decode(audio, sample_rates=[SAMPLE_RATE], limits=LIMITS).waveforms[SAMPLE_RATE]
    said = system.hear(waveform)
    cache.mkdir(parents=True, exist_ok=True)
    partial = kept.with_suffix(".partial")
    partial.write_text(json.dumps(_to_json(said)))
    partial.replace(kept)
    return said


def downbeats(beats_s: NDArray[np.float64], positions: NDArray[np.int64]) -> NDArray[np.float64]:
    """Beats that begin a bar."""
    return beats_s[positions == 1]


def tempo_of(beats_s: NDArray[np.float64]) -> float | None:
    """Beats a minute by their median distance; none of fewer than two."""
    return 60 / float(np.median(np.diff(beats_s))) if len(beats_s) > 1 else None


def _to_json(said: Music) -> dict[str, Any]:
    melody = said.melody
    return {
        "beats_s": None if said.beats_s is None else said.beats_s.tolist(),
        "downbeats_s": None if said.downbeats_s is None else said.downbeats_s.tolist(),
        "tempo_bpm": said.tempo_bpm,
        "key": said.key,
        "parts": None if said.parts is None else [[p.start_s, p.end_s, p.label, p.group] for p in said.parts],
        "melody": None if melody is None else [melody.step_s, _plain(melody.midi), _plain(melody.unvoiced)],
    }


def _from_json(content: dict[str, Any]) -> Music:
    beats, bars, parts, melody = (content[name] for name in ("beats_s", "downbeats_s", "parts", "melody"))
    return Music(
        beats_s=None if beats is None else np.array(beats, dtype=float),
        downbeats_s=None if bars is None else np.array(bars, dtype=float),
        tempo_bpm=content["tempo_bpm"],
        key=content["key"],
        parts=None if parts is None else tuple(Part(*part) for part in parts),
        melody=None if melody is None else Contour(melody[0], *map(_pitches, melody[1:])),
    )


def _plain(pitches: NDArray[np.float64] | None) -> list[float | None] | None:
    return None if pitches is None else [None if math.isnan(pitch) else round(pitch, 3) for pitch in pitches.tolist()]


def _pitches(plain: list[float | None] | None) -> NDArray[np.float64] | None:
    return None if plain is None else np.array(plain, dtype=float)
