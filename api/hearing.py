"""Sounds made into what is searched by: decoded, heard, and each part's time told."""

from __future__ import annotations

from typing import TYPE_CHECKING

from api.networks import waveform_in
from encoders.errors import UPLOAD, SilentAudioError
from retrieval.errors import QueryError
from retrieval.search.laps import Laps
from retrieval.search.query import Seed

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from api.networks import LoadedEncoders
    from encoders.analysis.findings import Melody
    from encoders.media.decoded import MediaLimits
    from retrieval.index.space import SpaceIndex


def example_of(
    sound: Path | bytes,
    index: SpaceIndex,
    encoders: LoadedEncoders,
    limits: MediaLimits,
    span_s: tuple[float, float] | None = None,
) -> Seed:
    """An example for a query in a space: the sound of a file, or what of it a span touches.

    Parameters
    ----------
    sound : a file, or the bytes of one that came from elsewhere, which is decoded under supervision

    Raises
    ------
    MediaError
        If it cannot be decoded, or is silent.
    QueryError
        If there is no sound in the span.
    """
    laps = Laps()
    version = index.view().encoder_version
    encoder, waveform = encoders.with_waveform(index.space, version, sound, limits)
    laps.finish("decode")
    try:
        segments = encoder.segment(waveform)
    except SilentAudioError as error:
        raise SilentAudioError(UPLOAD if isinstance(sound, bytes) else str(sound), error.reason) from error
    windows = segments.windows
    if span_s is not None:
        length_s = encoder.spec.window_length / encoder.spec.sample_rate
        windows = windows[(segments.starts_s < span_s[1]) & (segments.starts_s + length_s > span_s[0])]
        if not len(windows):
            last = f"0 to {segments.starts_s[-1] + length_s:.1f}, where it is not silent"
            raise QueryError("start_s", f"no sound lies in {span_s[0]:g}–{span_s[1]:g} s", last)
    from encoders.media.segments import pool

    encoding = encoder.encode(windows)
    vector, tags = pool(encoding.embeddings), encoder.tags(encoding)
    laps.finish("encode")
    return Seed(vector=vector, tags=tags, encoder_version=encoder.version, spent_s=laps.spent_s)


def melody_of(sound: Path | bytes, encoders: LoadedEncoders, limits: MediaLimits) -> tuple[Melody, Mapping[str, float]]:
    """What is hummed in a file, or in the bytes of one that came from elsewhere; and the seconds it took, by part.

    Raises
    ------
    MediaError
        If it cannot be decoded, or is silent.
    MissingWeightsError, CheckpointMismatchError
    """
    from encoders.analysis.music import melody

    laps = Laps()
    tracker = encoders.music().melody
    laps.finish("load")
    waveform = waveform_in(sound, tracker.sample_rate, limits)
    laps.finish("decode")
    hum = melody(tracker, waveform)
    laps.finish("encode")
    return hum, laps.spent_s
