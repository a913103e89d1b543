"""Clips of voices and their list: who speaks or sings what language in which file, and on whose terms.

``manifest.tsv`` has a line a clip: path (from the list's folder), language (ISO 639-1), speaker, source, kind
(recorded, synthesised or sung), seconds, licence; of what is sung, the number of the melody's song as well. Clips are
FLAC, 16 kHz, mono.
"""

from __future__ import annotations

from dataclasses import astuple, dataclass
from typing import TYPE_CHECKING

import av
import numpy as np

from encoders.errors import MediaError
from encoders.media.decode import MediaLimits, decode
from encoders.training.corpus import CorpusError
from encoders.training.voices.world import SAMPLE_RATE

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

KINDS = ("recorded", "synthesised", "sung")
LEVEL_DB = -20.0
_PEAK = 0.99
_BLOCK = SAMPLE_RATE // 20
_ACTIVE_DB = -35.0  # below the loudest block: a pause
_FLAC_FRAME = 4096


@dataclass(frozen=True)
class Clip:
    """One line of the list; the song is 0 where nothing is sung."""

    path: str
    language: str
    speaker: str
    source: str
    kind: str
    seconds: float
    licence: str
    song: int = 0


def read_clips(manifest: Path) -> list[Clip]:
    """Clips of a list, without its heading; a last line that is cut short is left out.

    Raises
    ------
    CorpusError
        If it cannot be read, or a line is not one; the line is named.
    """
    try:
        text = manifest.read_text(encoding="utf-8")
    except OSError as error:
        raise CorpusError(f"{manifest}: {error.strerror}") from error
    clips = []
    for number, line in enumerate(text[: text.rfind("\n") + 1].splitlines(), start=1):
        fields = line.split("\t")
        if fields[0] == "path" or not line:
            continue
        try:
            path, language, speaker, source, kind, seconds, licence, *song = fields
            song_number = int(song[0]) if song else 0
            clips.append(Clip(path, language, speaker, source, kind, float(seconds), licence, song_number))
        except ValueError as error:
            raise CorpusError(
                f"{manifest}, line {number}: path, language, speaker, source, kind, seconds, licence are accepted"
            ) from error
        if clips[-1].kind not in KINDS:
            raise CorpusError(f"{manifest}, line {number}: kind {clips[-1].kind!r} (accepted: {', '.join(KINDS)})")
    return clips


def append_clip(manifest: Path, clip: Clip) -> None:
    """Add a line to a list; the file is made where there is none."""
    with manifest.open("a", encoding="utf-8") as file:
        file.write(
            "\t".join(f"{field:.3f}" if isinstance(field, float) else str(field) for field in astuple(clip)) + "\n"
        )


def read_clip(path: Path) -> NDArray[np.float32]:
    """Waveform float32 [samples], 16 kHz.

    Raises
    ------
    CorpusError
        If the file is missing or damaged; it is named.
    """
    try:
        return decode(path, sample_rates=[SAMPLE_RATE], limits=MediaLimits(0, float("inf"))).waveforms[SAMPLE_RATE]
    except MediaError as error:
        raise CorpusError(f"{path}: {error.reason}") from error


def write_clip(path: Path, waveform: NDArray[np.float32]) -> None:
    """Write a waveform, float32 [samples] at 16 kHz, as FLAC of 16 bits; a run that is killed leaves none."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_suffix(".part")
    samples = np.round(np.clip(waveform, -1, 1) * 32767).astype(np.int16)
    with av.open(str(beside), "w", format="flac") as container:
        stream = container.add_stream("flac", rate=SAMPLE_RATE, layout="mono")
        stream.format = "s16"
        for start in range(0, len(samples), _FLAC_FRAME):
            piece = samples[np.newaxis, start : start + _FLAC_FRAME]
            frame = av.AudioFrame.from_ndarray(piece, format="s16", layout="mono")
            frame.sample_rate, frame.pts = SAMPLE_RATE, start
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    beside.replace(path)


def active(waveform: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Samples in which the voice sounds, bool [samples]: blocks of 50 ms within 35 dB of the loudest."""
    padded = np.pad(waveform.astype(np.float64), (0, -len(waveform) % _BLOCK))
    power = (padded.reshape(-1, _BLOCK) ** 2).mean(axis=1)
    sounding = power > max(power.max(initial=0) * 10 ** (_ACTIVE_DB / 10), 1e-12)
    return np.repeat(sounding, _BLOCK)[: len(waveform)]


def at_level(waveform: NDArray[np.float32], level_db: float = LEVEL_DB) -> NDArray[np.float32]:
    """The waveform at a level (RMS where it sounds, dBFS), or below, where its peaks would be cut."""
    sounding = active(waveform)
    if not sounding.any():
        return waveform
    rms = float(np.sqrt((waveform[sounding].astype(np.float64) ** 2).mean()))
    gain = min(10 ** (level_db / 20) / rms, _PEAK / float(np.abs(waveform).max()))
    return waveform * np.float32(gain)
