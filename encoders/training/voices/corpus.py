"""A folder of voices: FLAC clips by language and speaker, and a manifest that names both.

    <folder>/manifest.tsv                                     path, language, speaker, source, kind, seconds, licence
    <folder>/<kind>/<language>/<source>__<speaker>/<NNN>.flac      16 kHz, mono

Language is ISO 639-1; kind is ``recorded`` or ``synthesised``. Splits are to be made by speaker and source, never by
clip. A speaker is written as a whole: one that the manifest names is not done again.
"""

from __future__ import annotations

import csv
import re
import shutil
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING
from zlib import crc32

import av

from encoders.training.corpus import CorpusError
from encoders.training.voices.clips import SAMPLE_RATE, clips

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

KINDS = ("recorded", "synthesised")
MAX_SPEAKER_S = 720.0
_MANIFEST = "manifest.tsv"


@dataclass(frozen=True)
class Speaker:
    """Who speaks: `language` is ISO 639-1, `source` the package or the synthesiser, `kind` one of `KINDS`."""

    language: str
    speaker: str
    source: str
    kind: str
    licence: str

    @property
    def folder(self) -> str:
        """Where this speaker's clips lie; names of files come from packages, so nothing else of them is kept."""
        language, source, speaker = (
            re.sub(r"[^\w.+-]", "_", part) for part in (self.language, self.source, self.speaker)
        )
        return f"{self.kind}/{language}/{source}__{speaker}"


@dataclass(frozen=True)
class VoiceClip:
    """A line of the manifest."""

    path: str
    language: str
    speaker: str
    source: str
    kind: str
    seconds: float
    licence: str


def read_voices(folder: Path) -> list[VoiceClip]:
    """Every clip of a folder of voices, as the manifest orders them.

    Raises
    ------
    CorpusError
        If there is no manifest, or it is none.
    """
    path = folder / _MANIFEST
    if not path.is_file():
        raise CorpusError(f"{folder}: no {_MANIFEST} in it; run `soundalike train voices --to {folder}`")
    try:
        with path.open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file, delimiter="\t", strict=True))
        return [VoiceClip(**{**row, "seconds": float(row["seconds"])}) for row in rows]  # type: ignore[arg-type]
    except (csv.Error, TypeError, KeyError, ValueError) as error:
        columns = ", ".join(field.name for field in fields(VoiceClip))
        raise CorpusError(f"{path}: not a manifest of voices ({columns}, separated by tabs): {error}") from error


def add_speaker(
    folder: Path, speaker: Speaker, utterances: Iterable[NDArray[np.float32]], *, longest_s: float = MAX_SPEAKER_S
) -> float:
    """Write a speaker's utterances (float32 [samples], 16 kHz) as clips; return the seconds that were written.

    Nothing is read from `utterances` once there are `longest_s`, nor where the manifest has this speaker (then 0).

    Raises
    ------
    CorpusError
        If the manifest is none.
    OSError
        If the folder cannot be written; no clip of this speaker counts then.
    """
    manifest = folder / _MANIFEST
    known = read_voices(folder) if manifest.is_file() else []
    if any(clip.path.startswith(f"{speaker.folder}/") for clip in known):
        return 0.0
    target = folder / speaker.folder
    shutil.rmtree(target, ignore_errors=True)  # a run that was killed left clips that no line names
    target.mkdir(parents=True)
    rows: list[VoiceClip] = []
    for clip in clips(utterances, seed=crc32(speaker.folder.encode())):
        path = target / f"{len(rows):03d}.flac"
        _write_flac(path, clip)
        rows.append(
            VoiceClip(f"{speaker.folder}/{path.name}", seconds=round(len(clip) / SAMPLE_RATE, 2), **asdict(speaker))
        )
        if sum(row.seconds for row in rows) >= longest_s:
            break
    if not rows:
        target.rmdir()
        return 0.0
    _write_manifest(manifest, known + rows)
    return sum(row.seconds for row in rows)


def _write_manifest(path: Path, clips: Iterable[VoiceClip]) -> None:
    beside = path.with_suffix(".part")
    with beside.open("w", encoding="utf-8", newline="") as file:
        names = [field.name for field in fields(VoiceClip)]
        writer = csv.DictWriter(file, names, delimiter="\t", lineterminator="\n")
        writer.writeheader()
        writer.writerows(asdict(clip) for clip in clips)
    beside.replace(path)


def _write_flac(path: Path, waveform: NDArray[np.float32]) -> None:
    samples = (waveform.clip(-1, 1) * 32_767).astype("int16")
    with av.open(str(path), "w", format="flac", options={"fflags": "bitexact"}) as container:
        stream = container.add_stream("flac", rate=SAMPLE_RATE, layout="mono")
        frame = av.AudioFrame.from_ndarray(samples[None], format="s16", layout="mono")
        frame.sample_rate, frame.pts = SAMPLE_RATE, 0
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
