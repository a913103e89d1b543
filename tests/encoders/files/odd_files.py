"""Files of every kind that can be written here, and what happens to files: cut, chained, with broken samples.

Nothing of it is stored: FFmpeg writes the sound. What is done to tags stands in :mod:`tests.encoders.files.retagging`.
"""

import tempfile
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Kind:
    """How a file is written: FFmpeg's container and codec, at a rate in Hz."""

    container: str
    codec: str
    rate: int = 44_100
    layout: str = "stereo"
    options: dict[str, str] = field(default_factory=dict)


KINDS: dict[str, Kind] = {
    "wav": Kind("wav", "pcm_s16le"),
    "float.wav": Kind("wav", "pcm_f32le"),
    "adpcm.wav": Kind("wav", "adpcm_ms"),
    "rf64": Kind("wav", "pcm_s24le", options={"rf64": "always"}),
    "w64": Kind("w64", "pcm_s16le"),
    "aiff": Kind("aiff", "pcm_s16be"),
    "aifc": Kind("aiff", "pcm_s16le"),
    "au": Kind("au", "pcm_s16be"),
    "snd": Kind("au", "pcm_mulaw"),
    "caf": Kind("caf", "alac"),
    "pcm.caf": Kind("caf", "pcm_s16le"),
    "voc": Kind("voc", "pcm_u8"),
    "flac": Kind("flac", "flac"),
    "wv": Kind("wv", "wavpack"),
    "tta": Kind("tta", "tta"),
    "mp3": Kind("mp3", "libmp3lame"),
    "mp2": Kind("mp2", "mp2"),
    "aac": Kind("adts", "aac"),
    "loas": Kind("latm", "aac"),
    "ac3": Kind("ac3", "ac3"),
    "eac3": Kind("eac3", "eac3"),
    "amr": Kind("amr", "libopencore_amrnb", 8000, "mono"),
    "ogg": Kind("ogg", "vorbis"),
    "opus": Kind("ogg", "libopus", 48_000),
    "oga": Kind("ogg", "flac"),
    "m4a": Kind("ipod", "aac"),
    "m4b": Kind("ipod", "alac"),
    "m4r": Kind("ipod", "aac", options={"movflags": "faststart"}),
    "mp4": Kind("mp4", "aac", options={"movflags": "faststart"}),
    "parts.mp4": Kind("mp4", "aac", options={"movflags": "frag_keyframe+empty_moov", "frag_duration": "1000000"}),
    "mov": Kind("mov", "pcm_s16le"),
    "3gp": Kind("3gp", "libopencore_amrnb", 8000, "mono"),
    "mka": Kind("matroska", "vorbis"),
    "mkv": Kind("matroska", "ac3"),
    "webm": Kind("webm", "libopus", 48_000),
    "wma": Kind("asf", "wmav2"),
    "asf": Kind("asf", "wmav1"),
    "avi": Kind("avi", "libmp3lame"),
    "flv": Kind("flv", "libmp3lame"),
    "ts": Kind("mpegts", "mp2"),
    "m2ts": Kind("mpegts", "ac3", options={"mpegts_m2ts_mode": "1"}),
    "mpg": Kind("mpeg", "mp2"),
    "vob": Kind("vob", "ac3"),
    "rm": Kind("rm", "ac3"),
}


def music(duration_s: float, rate: int = 44_100, *, seed: int = 7) -> NDArray[np.float32]:
    """Chords that change twice a second under a little noise, float32 [samples]: no two frames of it are alike."""
    rng = np.random.default_rng(seed)
    time_s = np.arange(round(duration_s * rate)) / rate
    steps = rng.uniform(110, 1500, (3, int(2 * duration_s) + 1))
    tones = sum(np.sin(2 * np.pi * np.cumsum(voice[(2 * time_s).astype(int)]) / rate) for voice in steps)
    return (0.15 * tones + rng.normal(0, 0.02, time_s.size)).astype(np.float32)


def written(path: Path, kind: Kind, duration_s: float = 6.0, *, samples: NDArray[np.float32] | None = None) -> Path:
    """Write music, or other samples of all channels alike, as a kind of file says."""
    sound = music(duration_s, kind.rate) if samples is None else samples
    if (kind.container, kind.codec) == ("ogg", "flac"):  # PyAV's muxer wants times that this encoder does not give
        flac = written(path.with_suffix(".flac"), replace(kind, container="flac"), duration_s, samples=sound)
        repacked(flac, path, "ogg", {})
        flac.unlink()
        return path
    with av.open(str(path), "w", format=kind.container, options=kind.options) as out:
        stream = out.add_stream(kind.codec, rate=kind.rate)
        stream.layout = kind.layout
        if kind.codec == "vorbis":  # FFmpeg's own encoder
            stream.codec_context.options = {"strict": "experimental"}
        if kind.codec.startswith("wma"):
            stream.codec_context.bit_rate = 128_000
        resampler = av.AudioResampler(stream.format, kind.layout, kind.rate)
        channels = stream.layout.nb_channels
        frame = av.AudioFrame.from_ndarray(np.stack([sound] * channels), format="fltp", layout=kind.layout)
        frame.sample_rate = kind.rate
        for part in [*resampler.resample(frame), *resampler.resample(None)]:
            out.mux(stream.encode(part))
        out.mux(stream.encode(None))
    return path


def of_kind(folder: Path, name: str, duration_s: float = 6.0) -> Path:
    """Write a file of one of the `KINDS`."""
    path = folder / f"music.{name}"
    path.write_bytes(_of_kind(name, duration_s))
    return path


@cache
def _of_kind(name: str, duration_s: float) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        return written(Path(folder) / f"music.{name}", KINDS[name], duration_s).read_bytes()


def cut(path: Path, share: float) -> Path:
    """A file beside it that ends after a share of its bytes."""
    return beside(path, "cut", path.read_bytes()[: int(share * path.stat().st_size)])


def zero_tail(path: Path, share: float) -> Path:
    """A file beside it, of the same length, that a download has filled up to a share of its bytes."""
    content = path.read_bytes()
    there = int(share * len(content))
    return beside(path, "filled", content[:there] + bytes(len(content) - there))


def with_hole(path: Path, start: float, end: float) -> Path:
    """A file beside it with zero bytes from a share of its bytes to another."""
    content = bytearray(path.read_bytes())
    first, last = int(start * len(content)), int(end * len(content))
    content[first:last] = bytes(last - first)
    return beside(path, "hole", bytes(content))


def with_nan(path: Path, count: int, *, value: float = np.nan, duration_s: float = 6.0) -> Path:
    """Write a WAV of floats, so many samples of which have a value, far from each other."""
    samples = music(duration_s)
    samples[np.linspace(1000, samples.size - 1000, count).astype(int)] = value
    return written(path, KINDS["float.wav"], samples=samples)


def chained_ogg(path: Path, *links: Kind, duration_s: float = 3.0) -> Path:
    """Write an Ogg file of several streams one behind the other, each as long."""
    parts = [written(path.with_name(f"link{number}.ogg"), kind, duration_s) for number, kind in enumerate(links)]
    return joined(path, *parts)


def joined(path: Path, *parts: Path) -> Path:
    """Write files one behind the other."""
    path.write_bytes(b"".join(part.read_bytes() for part in parts))
    return path


def repacked(
    path: Path, other: Path, container: str, options: dict[str, str], tags: dict[str, str] | None = None
) -> None:
    """Write the packets of a file into another container."""
    with av.open(str(path)) as source, av.open(str(other), "w", format=container, options=options) as out:
        out.metadata.update(tags or {})
        stream = out.add_stream_from_template(source.streams.audio[0])
        for packet in source.demux(source.streams.audio[0]):
            if packet.dts is not None:
                packet.stream = stream
                out.mux(packet)


def beside(path: Path, what: str, content: bytes) -> Path:
    stem, suffix = path.name.split(".", 1)
    other = path.with_name(f"{stem}-{what}.{suffix}")
    other.write_bytes(content)
    return other
