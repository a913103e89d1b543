"""A track laid under a clip, to be watched: cut where it starts, at its speed, made as long as the clip is."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, cast

import av
import numpy as np
from av.filter import Graph

from api.editing import retarget
from encoders.editing.planning import LONGEST_S, SHORTEST_S
from encoders.errors import TooShortError
from encoders.media.decoder_process import DecoderProcess
from encoders.media.video.laying import lay_under
from encoders.media.video.mixing import original_sound

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
_RATES = frozenset(
    {96_000, 88_200, 64_000, 48_000, 44_100, 32_000, 24_000, 22_050, 16_000, 12_000, 11_025, 8_000, 7_350}
)
"""Those that AAC has, in Hz."""


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
    placement = preview.placement
    if seen.is_still:  # any start is as good that leaves enough of the track
        placement = replace(placement, start_s=max(0.0, min(placement.start_s, preview.track.duration_s - length_s)))
    music, sample_rate = music_for(here, preview.track, placement, length_s)
    speech_s = _speech(here, preview, length_s) if preview.keeps_speech and seen.has_sound else None
    end_s = None if seen.is_still else seen.from_s + seen.duration_s
    lay_under(preview.video, music, sample_rate, out, start_s=seen.from_s, end_s=end_s, speech_s=speech_s)


def music_for(here: Soundalike, track: Track, placement: Placement, length_s: float) -> tuple[NDArray[np.float32], int]:
    """A track from where it is placed, so long: float32 [1 or 2 channels, samples], and its sample rate in Hz.

    What ends too early is made as long as it must be, by jumps from beat to beat (`api.editing.retarget`), from its
    beginning. More channels than two are mixed down, and a rate that AAC lacks becomes 48 kHz.
    """
    from pathlib import Path

    path = Path(track.uri)
    needed_s = length_s * placement.rate
    if track.duration_s - placement.start_s < needed_s - _SHORT_BY_S and SHORTEST_S <= length_s <= LONGEST_S:
        audio = retarget(here, path, length_s, track_id=track.id).audio
        return _for_aac(audio.samples.T.copy(), audio.sample_rate, audio.layout)
    with DecoderProcess(timeout_s=_DECODING_S, memory_bytes=_DECODING_BYTES) as decoder:
        audio = decoder.decode_native(path, limits=here.settings.media_limits)
    rate = audio.sample_rate
    first = round(placement.start_s * rate)
    part = audio.samples[first : first + round(needed_s * rate)].T
    if not part.size:
        raise TooShortError(
            track.uri, f"ends at {audio.duration_s:.1f} s, before {placement.start_s:.1f} s: index it anew"
        )
    music, rate = _for_aac(part.copy(), rate, audio.layout, speed=placement.rate)
    music = music[:, : round(length_s * rate)]
    fade = min(music.shape[1], round(_FADE_S * rate))
    # It was cut somewhere, and is no end.
    music[:, music.shape[1] - fade :] *= np.linspace(1, 0, fade, dtype=np.float32)
    return music, rate


def _for_aac(
    samples: NDArray[np.float32], sample_rate: int, layout: str, *, speed: float = 1.0
) -> tuple[NDArray[np.float32], int]:
    """Sound, float32 [channels, samples], with channels and a rate that AAC has; at another speed, of the same pitch.

    FFmpeg's ``atempo`` is WSOLA.
    """
    is_held = len(samples) <= 2 and sample_rate in _RATES
    if is_held and speed == 1:
        return samples, sample_rate
    rate, channels = sample_rate if sample_rate in _RATES else 48_000, "mono" if len(samples) == 1 else "stereo"
    # ``atempo`` gives packed samples: what follows it takes the channels apart.
    filters = [("aformat", f"sample_fmts=fltp:sample_rates={rate}:channel_layouts={channels}")]
    if speed != 1:
        filters.insert(0, ("atempo", f"{speed:.5f}"))
    graph = Graph()
    source = graph.add_abuffer(sample_rate=sample_rate, format="fltp", layout=layout, time_base=None)
    last = source
    for name, arguments in filters:
        added = graph.add(name, arguments)
        last.link_to(added)
        last = added
    sink = graph.add("abuffersink")
    last.link_to(sink)
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
    return np.concatenate(parts, axis=1), rate


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
    vocals, name = here.encoder.voices().vocals, str(preview.video)
    sound = original_sound(preview.video, name, preview.watched.seen.from_s, length_s, vocals.sample_rate, 1)
    spans = [] if sound is None else vocals.detect(np.array(sound[0])).spans
    return np.array([(span.start_s, span.end_s) for span in spans if span.kind == "speech"]).reshape(-1, 2)
