"""Speakers of a folder of voices: what each says becomes clips, and lines of its list (:mod:`.clips`).

A speaker is written as a whole: one that the list names is not done again.
"""

from __future__ import annotations

import re
import shutil
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING
from zlib import crc32

from encoders.training.voices.clips import SAMPLE_RATE, SPOKEN, Clip, append_clips, read_clips, write_clip
from encoders.training.voices.utterances import cut_clips

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

MAX_SPEAKER_S = 720.0


@dataclass(frozen=True)
class Speaker:
    """Who speaks, in the fields of a :class:`~encoders.training.voices.clips.Clip`."""

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


def add_speaker(
    folder: Path, speaker: Speaker, utterances: Iterable[NDArray[np.float32]], *, longest_s: float = MAX_SPEAKER_S
) -> float:
    """Write a speaker's utterances (float32 [samples], 16 kHz) as clips; return the seconds that were written.

    Nothing is read from `utterances` once there are `longest_s`, nor where the list has this speaker (then 0).

    Raises
    ------
    CorpusError
        If the list is none.
    OSError
        If the folder cannot be written; no clip of this speaker counts then.
    """
    manifest = folder / SPOKEN
    known = read_clips(manifest) if manifest.is_file() else []
    if any(clip.path.startswith(f"{speaker.folder}/") for clip in known):
        return 0.0
    target = folder / speaker.folder
    shutil.rmtree(target, ignore_errors=True)  # a run that was killed left clips that no line names
    made: list[Clip] = []
    for waveform in cut_clips(utterances, seed=crc32(speaker.folder.encode())):
        path = f"{speaker.folder}/{len(made):03d}.flac"
        write_clip(folder / path, waveform)
        made.append(Clip(path, seconds=len(waveform) / SAMPLE_RATE, **asdict(speaker)))
        if sum(clip.seconds for clip in made) >= longest_s:
            break
    if made:
        append_clips(manifest, made)
    return sum(clip.seconds for clip in made)
