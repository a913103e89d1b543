"""Clips of voices and their list: who speaks or sings what language in which file, and on whose terms.

    <folder>/spoken.tsv, sung.tsv       a heading, and a line a clip, its fields separated by tabs
    <folder>/<kind>/<language>/<source>__<speaker>/<NNN>.flac       16 kHz, mono

Fields are path (from the folder), language (ISO 639-1), speaker, source (a package or a synthesiser), kind (recorded,
synthesised or sung), seconds, licence, and the number of the song whose melody is sung, 0 where nothing is. Splits are
to be made by speaker and source, never by clip.
"""

from __future__ import annotations

import os
from dataclasses import astuple, dataclass, fields
from typing import TYPE_CHECKING

import av
import numpy as np

from encoders.errors import MediaError
from encoders.media.decode import decode
from encoders.media.decoded import MediaLimits
from encoders.training.corpus import CorpusError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

SAMPLE_RATE = 16_000
SPOKEN, SUNG = "spoken.tsv", "sung.tsv"
"""Names of the lists."""
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


_COLUMNS = tuple(field.name for field in fields(Clip))


def read_clips(manifest: Path) -> list[Clip]:
    """Clips of a list, with a heading or without; a last line that is cut short is left out, and the song may be.

    Raises
    ------
    CorpusError
        If it cannot be read, or a line is not one; the line is named.
    """
    try:
        text = manifest.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        makers = {SPOKEN: "train voices", SUNG: "train sing"}
        hint = f"; `soundalike {makers[manifest.name]}` makes it" if manifest.name in makers else ""
        raise CorpusError(f"{manifest}: {error.strerror}{hint}") from error
    except (OSError, UnicodeDecodeError) as error:
        raise CorpusError(f"{manifest}: {error}") from error
    clips = []
    for number, line in enumerate(text[: text.rfind("\n") + 1].split("\n"), start=1):
        row = line.split("\t")
        if row[0] == _COLUMNS[0] or not line:
            continue
        try:
            path, language, speaker, source, kind, seconds, licence, *song = row
            (song_number,) = map(int, song or ["0"])
            clips.append(Clip(path, language, speaker, source, kind, float(seconds), licence, song_number))
        except ValueError as error:
            accepted = f"{', '.join(_COLUMNS)}, separated by tabs, are accepted"
            raise CorpusError(f"{manifest}, line {number}: {accepted}") from error
        if clips[-1].kind not in KINDS:
            raise CorpusError(f"{manifest}, line {number}: kind {clips[-1].kind!r} (accepted: {', '.join(KINDS)})")
    return clips


def append_clips(manifest: Path, clips: Sequence[Clip]) -> None:
    """Add lines to a list, all or none; the file is made where there is none, and a line that is cut short goes.

    Raises
    ------
    OSError
        If it cannot be written.
    """
    content = manifest.read_bytes() if manifest.exists() else b""
    whole = content.rfind(b"\n") + 1
    rows = [] if whole else [_COLUMNS]
    rows += [tuple(f"{one:.3f}" if isinstance(one, float) else str(one) for one in astuple(clip)) for clip in clips]
    try:
        with manifest.open("ab") as file:
            file.truncate(whole)
            file.write("".join("\t".join(row) + "\n" for row in rows).encode())
    except OSError:
        os.truncate(manifest, whole)
        raise


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
