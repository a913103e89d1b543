"""Clips put before what finds music for them: watched once, kept, and asked about as often as one likes."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from encoders.errors import TooShortError
from encoders.media.video.process import read_untrusted
from retrieval.catalog.clips import keep_clip, kept_clip
from retrieval.errors import IndexMissingError, OutOfRangeError
from retrieval.search.laps import Laps
from retrieval.search.video.answering import answer_clip
from retrieval.search.video.clip import Clip

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from api.wiring import Soundalike
    from encoders.analysis.pictures import Seen
    from retrieval.search.query import Query
    from retrieval.search.video.answering import VideoAnswer

SPACE = "video"
"""Of music and video."""
_ID_LENGTH = 32
_BLOCK = 1 << 20


@dataclass(frozen=True, eq=False)
class Watched:
    """What was seen in a clip, and the id by which it is kept.

    Attributes
    ----------
    spent_s : seconds that it took to see it, by part
    """

    clip_id: str
    seen: Seen
    spent_s: Mapping[str, float] = field(default_factory=dict)


def check_catalogue(here: Soundalike) -> None:
    """Refuse what no clip can be asked of, before one is watched.

    Raises
    ------
    IndexMissingError
        If no track lies in the space of music and video.
    """
    try:
        here.search.space(SPACE)
    except IndexMissingError as error:
        how = f"`soundalike index FOLDER` encodes its tracks in {SPACE} as well"
        raise IndexMissingError(SPACE, f"{error}; {how}", how) from error


def watch(here: Soundalike, video: Path | bytes, *, start_s: float = 0.0, end_s: float | None = None) -> Watched:
    """Watch a clip of a video, or a picture, and keep what was seen.

    Parameters
    ----------
    video : a file, or the bytes of one that came from elsewhere; either is read by a child process, with limits
    start_s, end_s : the clip within the video in seconds; None is its end, or where the limits of reading end it

    Raises
    ------
    MediaError
        If it cannot be read.
    OutOfRangeError
        If it shows nothing between these moments.
    MissingWeightsError, CheckpointMismatchError
    """
    laps = Laps()
    try:
        footage = read_untrusted(video, start_s=start_s, end_s=end_s)
    except TooShortError as error:
        raise OutOfRangeError("start_s", error.reason, "moments before the video's end, start_s < end_s") from error
    laps.finish("decode")
    pictures = here.encoder.pictures()
    laps.finish("load")
    seen = pictures.look(footage, from_s=start_s)
    laps.finish("encode")
    clip_id = _id_of(video, start_s, end_s)
    keep_clip(here.engine, clip_id, pictures.version, seen.packed())
    laps.finish("keep")
    return Watched(clip_id, seen, laps.spent_s)


def remembered(here: Soundalike, clip_id: str, *, start_s: float | None = None, end_s: float | None = None) -> Watched:
    """A clip that was watched before, or a part of it; moments are those of its video.

    Raises
    ------
    UnknownClipError
        If it is not kept.
    OutOfRangeError
        If nothing of what was seen lies between these moments.
    """
    from encoders.analysis.pictures import Seen

    laps = Laps()
    version = here.encoder.pictures().version
    laps.finish("load")
    seen = Seen.unpacked(kept_clip(here.engine, clip_id, version))
    laps.finish("recall")
    if seen.is_still or (start_s is None and end_s is None):
        return Watched(clip_id, seen, laps.spent_s)
    last_s = seen.from_s + seen.duration_s
    start_s = seen.from_s if start_s is None else start_s
    end_s = last_s if end_s is None else min(end_s, last_s)
    if not seen.from_s <= start_s < end_s:
        accepted = f"{seen.from_s:g} ≤ start_s < end_s ≤ {last_s:g}, which was seen of this clip"
        raise OutOfRangeError("start_s", f"is {start_s:g}, end_s is {end_s:g}", accepted)
    return Watched(clip_id, seen.between(start_s - seen.from_s, end_s - seen.from_s), laps.spent_s)


def match(here: Soundalike, watched: Watched, query: Query) -> VideoAnswer:
    """Find the music that fits a clip: `retrieval.search.video.answering.answer_clip`."""
    laps = Laps([watched.spent_s])
    clip = clip_of(here, watched.seen)
    laps.finish("encode")
    return answer_clip(here.search, clip, SPACE, query, spent_s=laps.spent_s)


def clip_of(here: Soundalike, seen: Seen) -> Clip:
    """A clip as a catalogue is asked with it."""
    pictures = here.encoder.pictures()
    tags, reasons = pictures.suggested(seen)
    return Clip(
        vector=pictures.embed(seen),
        encoder_version=pictures.encoder_version,
        duration_s=seen.duration_s,
        events=seen.events,
        changes=seen.changes,
        cuts=seen.cuts,
        energy=seen.energy,
        cuts_s=seen.cuts_s,
        tags=tags,
        words=[(reason.word, reason.tag) for reason in reasons],
    )


def _id_of(video: Path | bytes, start_s: float, end_s: float | None) -> str:
    """Of the bytes, and of what of them is read."""
    digest = hashlib.sha256(f"{start_s!r} {end_s!r} ".encode())
    if isinstance(video, bytes):
        digest.update(video)
    else:
        with video.open("rb") as file:
            while block := file.read(_BLOCK):
                digest.update(block)
    return digest.hexdigest()[:_ID_LENGTH]
