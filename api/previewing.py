"""A track laid under a clip, to be watched: cut where it starts, at its speed, made as long as the clip is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import av
import numpy as np
from av.filter import Graph

from api.editing import retarget
from encoders.editing.planning import LONGEST_S, SHORTEST_S
from encoders.errors import AudioWriteError, NoAudioError
from encoders.media.decode import decode
from encoders.media.decoder_process import DecoderProcess
from encoders.media.video.laying import lay_under
from encoders.media.writing import check_place

if TYPE_CHECKING:
    from pathlib import Path

    from av.audio.frame import AudioFrame
    from av.filter.context import FilterContext
    from numpy.typing import NDArray

    from api.matching import Watched
    from api.wiring import Soundalike
    from retrieval.catalog.records import Track
    from retrieval.search.video.placing import Placement

STILL_S = 15.0
"""How long a picture is shown."""
_SHORT_BY_S = 0.5
_FADE_S = 1.5
_DECODING_S, _DECODING_BYTES = 120.0, 2 << 30
_AT_ONCE = 1 << 14


@dataclass(frozen=True)
class Preview:
    """What is laid under what.

    Attributes
    ----------
    video : the file that the clip is of
    watched : the clip
    track, placement : the music, and where in it the clip starts
    keeps_speech : whether the clip's own sound stays where somebody speaks in it
    """

    video: Path
    watched: Watched
    track: Track
    placement: Placement
    keeps_speech: bool = False


def check_preview(out: Path) -> None:
    """Refuse what could not be written, before work is done for it.

    Raises
    ------
    AudioWriteError
        If its name does not end in ``.mp4``, or its folder is not there.
    """
    if out.suffix.lower() != ".mp4":
        raise AudioWriteError(str(out), f"ends in {out.suffix or 'nothing'}; accepted: .mp4")
    check_place(out)


def write_preview(here: Soundalike, preview: Preview, out: Path) -> None:
    """Write a clip with other music under it.

    Raises
    ------
    MediaError, RetargetError
        If clip or track cannot be decoded, or no music of that length can be made.
    MissingWeightsError, CheckpointMismatchError
        If speech is to be kept, and nothing here hears it.
    """
    seen = preview.watched.seen
    length_s = STILL_S if seen.is_still else seen.duration_s
    music, sample_rate = music_for(here, preview.track, preview.placement, length_s)
    speech_s = _speech(here, preview, length_s) if preview.keeps_speech and seen.has_sound else None
    end_s = None if seen.is_still else seen.from_s + seen.duration_s
    lay_under(preview.video, music, sample_rate, out, start_s=seen.from_s, end_s=end_s, speech_s=speech_s)


def music_for(here: Soundalike, track: Track, placement: Placement, length_s: float) -> tuple[NDArray[np.float32], int]:
    """A track from where it is placed, so long: float32 [channels, samples], and its sample rate in Hz.

    What ends too early is made as long as it must be, by jumps from beat to beat (`api.editing.retarget`), from its
    beginning.
    """
    from pathlib import Path

    path = Path(track.uri)
    needed_s = length_s * placement.rate
    if track.duration_s - placement.start_s < needed_s - _SHORT_BY_S and SHORTEST_S <= length_s <= LONGEST_S:
        made = retarget(here, path, length_s, track_id=track.id).audio
        return np.ascontiguousarray(made.samples.T), made.sample_rate
    with DecoderProcess(timeout_s=_DECODING_S, memory_bytes=_DECODING_BYTES) as decoder:
        audio = decoder.decode_native(path, limits=here.settings.media_limits)
    rate = audio.sample_rate
    first = round(placement.start_s * rate)
    part = np.ascontiguousarray(audio.samples[first : first + round(needed_s * rate)].T)
    music = part if placement.rate == 1 else at_speed(part, rate, placement.rate)
    music = music[:, : round(length_s * rate)]
    fade = min(music.shape[1], round(_FADE_S * rate))
    # It was cut somewhere, and is no end.
    music[:, music.shape[1] - fade :] *= np.linspace(1, 0, fade, dtype=np.float32)
    return music, rate


def at_speed(samples: NDArray[np.float32], sample_rate: int, speed: float) -> NDArray[np.float32]:
    """Sound, float32 [channels, samples], played at another speed and the same pitch (FFmpeg's ``atempo``, WSOLA)."""
    layout = {1: "mono", 2: "stereo"}.get(len(samples), f"{len(samples)}c")
    graph = Graph()
    source = graph.add_abuffer(sample_rate=sample_rate, format="fltp", layout=layout, time_base=None)
    stretched = graph.add("atempo", f"{speed:.5f}")
    sink = graph.add("abuffersink")
    source.link_to(stretched)
    stretched.link_to(sink)
    graph.configure()
    parts: list[NDArray[np.float32]] = []
    for start in range(0, samples.shape[1], _AT_ONCE):
        block = np.ascontiguousarray(samples[:, start : start + _AT_ONCE])
        frame = av.AudioFrame.from_ndarray(block, format="fltp", layout=layout)
        frame.sample_rate, frame.pts = sample_rate, start
        source.push(frame)
        parts += _pulled(sink)
    source.push(None)
    parts += _pulled(sink)
    return np.concatenate(parts, axis=1)


def _pulled(sink: FilterContext) -> list[NDArray[np.float32]]:
    parts: list[NDArray[np.float32]] = []
    while True:
        try:
            frame = cast("AudioFrame", sink.pull())
        except (av.BlockingIOError, av.EOFError):
            return parts
        parts.append(frame.to_ndarray().astype(np.float32))


def _speech(here: Soundalike, preview: Preview, length_s: float) -> NDArray[np.float64]:
    """Where somebody speaks in the clip, float64 [n, 2], seconds from its start."""
    vocals = here.encoder.voices().vocals
    try:
        heard = decode(preview.video, sample_rates=[vocals.sample_rate], limits=here.settings.media_limits)
    except NoAudioError:
        return np.empty((0, 2))
    from_s = preview.watched.seen.from_s
    first, last = (round(at_s * vocals.sample_rate) for at_s in (from_s, from_s + length_s))
    found = vocals.detect(heard.waveforms[vocals.sample_rate][first:last])
    return np.array([(span.start_s, span.end_s) for span in found.spans if span.kind == "speech"]).reshape(-1, 2)
