"""Tracks of the catalogue, and files, put before what edits them: with the rhythm and form that are known of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from encoders.analysis.findings import Highlight, Rhythm, Section
from encoders.analysis.form.features import SAMPLE_RATE, sound_of
from encoders.analysis.form.highlights import highlights
from encoders.editing.retargeting import Retargeted, Track, retargeted
from encoders.errors import RetargetError, SilentAudioError
from encoders.media.decoder_process import DecoderProcess
from retrieval.catalog.heard.music import RHYTHM_STAGE, STRUCTURE_STAGE, heard_music

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from api.wiring import Soundalike
    from retrieval.catalog.records import HeardMusic

Keep = Literal["highlight"]

_DECODING_S, _DECODING_BYTES = 120.0, 2 << 30
"""What decoding may take, for each of the two times that a file is decoded, and of memory in either."""


@dataclass(frozen=True)
class _Known:
    """What is known of a track: its rhythm, its sections, and the best of its highlights."""

    rhythm: Rhythm
    sections: tuple[Section, ...]
    highlight: Highlight | None


def retarget(
    here: Soundalike, path: Path, duration_s: float, *, keep: Keep | None = None, track_id: int | None = None
) -> Retargeted:
    """Make a file's track as long as asked.

    Parameters
    ----------
    path : the file
    duration_s : seconds
    keep : what has to be in
    track_id : of the catalogue, whose rhythm and form are taken from there; what is not, is listened to

    Raises
    ------
    RetargetError
        If no such length can be made, or there is no highlight to keep.
    MediaError
        If the file cannot be decoded.
    MissingWeightsError, CheckpointMismatchError
        If the track must be listened to, and cannot.
    """
    limits = here.settings.media_limits
    with DecoderProcess(timeout_s=_DECODING_S, memory_bytes=_DECODING_BYTES) as decoder:
        audio = decoder.decode_native(path, limits=limits)
        try:
            waveform = decoder.decode(path, sample_rates=[SAMPLE_RATE], limits=limits).waveforms[SAMPLE_RATE]
        except SilentAudioError:
            waveform = np.zeros(round(audio.duration_s * SAMPLE_RATE), np.float32)
    known = None
    if track_id is not None:
        known = _stored(heard_music(here.engine, track_id, (RHYTHM_STAGE, STRUCTURE_STAGE)))
    if known is None:
        known = _heard(here, waveform)
    sound, highlight = sound_of(waveform), known.highlight
    if keep is not None and highlight is None:
        highlight = next(iter(highlights(sound, known.rhythm, known.sections)), None)
        if highlight is None:
            raise RetargetError("keep", "the track has no highlight: it is silent", "nothing to keep")
    track = Track(audio, sound, known.rhythm, known.sections)
    return retargeted(track, duration_s, keep=None if keep is None else highlight)


def _stored(heard: HeardMusic) -> _Known | None:
    """What the catalogue knows of a track; none where nobody has listened to its rhythm."""
    rhythm, form = heard.rhythm, heard.form
    if rhythm is None:
        return None
    found = Rhythm(rhythm.tempo_bpm, rhythm.beats_s, rhythm.positions, rhythm.meter, rhythm.confidence)
    if form is None:
        return _Known(found, (), None)
    sections = tuple(
        Section(part.start_s, part.end_s, part.level, part.label, part.group, part.confidence) for part in form.sections
    )
    best = next((Highlight(span.start_s, span.end_s, span.score) for span in form.highlights), None)
    return _Known(found, sections, best)


def _heard(here: Soundalike, waveform: NDArray[np.float32]) -> _Known:
    """What is heard in a track that the catalogue does not know."""
    from encoders.analysis.music import form, rhythm_and_key

    music = here.encoder.music()
    rhythm, _ = rhythm_and_key(music.rhythm, waveform)
    found = form(music.form, waveform, rhythm)
    return _Known(rhythm, found.sections, next(iter(found.highlights), None))
