"""Sounds put before a catalogue: decoded, heard, and made into what is searched by; each part's time is told."""

from __future__ import annotations

from typing import TYPE_CHECKING

from api.networks import waveform_in
from retrieval.errors import QueryError
from retrieval.search.laps import Laps
from retrieval.search.query import Seed

if TYPE_CHECKING:
    from pathlib import Path

    from api.wiring import Soundalike
    from retrieval.filters.language import Filter
    from retrieval.search.humming.answering import HumAnswer


def seed_of(
    here: Soundalike, sound: Path | bytes, space: str | None = None, span_s: tuple[float, float] | None = None
) -> Seed:
    """An example for a query in a space: the sound of a file, or what of it a span touches.

    Parameters
    ----------
    sound : a file, or the bytes of one that came from elsewhere, which is decoded under supervision

    Raises
    ------
    IndexMissingError
        If the space holds no track. It comes before the encoder: no caller's name may decide what is imported.
    MediaError
        If it cannot be decoded, or is silent.
    QueryError
        If there is no sound in the span.
    """
    laps = Laps()
    index = here.search.space(space)
    version, limits = index.view().encoder_version, here.settings.media_limits
    encoder, waveform = here.encoder.with_waveform(index.space, version, sound, limits)
    laps.finish("decode")
    segments = encoder.segment(waveform)
    windows = segments.windows
    if span_s is not None:
        length_s = encoder.spec.window_length / encoder.spec.sample_rate
        windows = windows[(segments.starts_s < span_s[1]) & (segments.starts_s + length_s > span_s[0])]
        if not len(windows):
            last = f"0 to {segments.starts_s[-1] + length_s:.1f}, where it is not silent"
            raise QueryError("start_s", f"no sound lies in {span_s[0]}–{span_s[1]} s", last)
    from encoders.media.segments import pool

    encoding = encoder.encode(windows)
    vector, tags = pool(encoding.embeddings), encoder.tags(encoding)
    laps.finish("encode")
    return Seed(vector=vector, tags=tags, encoder_version=encoder.version, spent_s=laps.spent_s)


def hummed(here: Soundalike, sound: Path | bytes, *, filter_: Filter | None = None, limit: int = 10) -> HumAnswer:
    """The tracks whose melody is hummed in a file, or in the bytes of one that came from elsewhere.

    Raises
    ------
    MediaError
        If it cannot be decoded, or is silent.
    QueryError, FilterError
        As `answer_hum`; the filter's before anything is decoded.
    MissingWeightsError, CheckpointMismatchError
    """
    from encoders.analysis.music import melody
    from retrieval.search.humming.answering import answer_hum

    laps = Laps()
    if filter_ is not None:
        here.search.selections.condition(filter_)
    tracker = here.encoder.music().melody
    laps.finish("load")
    waveform = waveform_in(sound, tracker.sample_rate, here.settings.media_limits)
    laps.finish("decode")
    hum = melody(tracker, waveform)
    laps.finish("encode")
    return answer_hum(
        here.search, here.melodies, hum.pitches, hum.step_s, filter_=filter_, limit=limit, spent_s=laps.spent_s
    )
