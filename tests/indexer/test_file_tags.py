"""Tags as files carry them: every container its own way, and damaged ones never in the way."""

from collections.abc import Callable
from pathlib import Path

import av
import mutagen
import numpy as np
import pytest
from mutagen.id3 import TALB, TDRC, TIT2, TPE1
from mutagen.wave import WAVE

from indexer.file_tags import FileTags, read_file_tags
from tests.conftest import tone


@pytest.mark.parametrize(
    ("suffix", "codec"), [("mp3", "libmp3lame"), ("flac", "flac"), ("ogg", "libopus"), ("m4a", "aac")]
)
def test_every_container(suffix: str, codec: str, tmp_path: Path) -> None:
    path = tmp_path / f"song.{suffix}"
    with av.open(str(path), "w") as file:
        stream = file.add_stream(codec, rate=48_000, layout="mono")
        frame = av.AudioFrame.from_ndarray(tone(220, 1, sample_rate=48_000)[np.newaxis], format="fltp", layout="mono")
        frame.sample_rate = 48_000
        resampler = av.AudioResampler(stream.format, "mono", 48_000, stream.frame_size or 4_096)
        for part in [*resampler.resample(frame), *resampler.resample(None)]:
            file.mux(stream.encode(part))
        file.mux(stream.encode(None))
    assert read_file_tags(path) == FileTags()
    opened = mutagen.File(path, easy=True)
    if opened.tags is None:
        opened.add_tags()
    opened.tags.update({"title": ["Ça va"], "artist": ["A\0B"], "album": ["X"], "genre": ["Jazz"], "date": ["1997-05"]})
    opened.save()
    assert read_file_tags(path) == FileTags("Ça va", "A; B", "X", "Jazz", 1997)


def test_bare_id3_in_wav(tmp_path: Path, write_wav: Callable[..., Path]) -> None:
    path = write_wav(tmp_path / "song.wav", tone(220, 1))
    opened = WAVE(path)
    opened.add_tags()
    for frame in (TIT2(text="T"), TPE1(text="A"), TALB(text=" "), TDRC(text="2003")):
        opened.tags.add(frame)
    opened.save()
    assert read_file_tags(path) == FileTags(title="T", artist="A", album=None, year=2003)


@pytest.mark.parametrize("content", [b"", b"ID3\x04\x00\x00\x7f\x7f\x7f\x7f" + b"x" * 50, b"OggS" + bytes(60), b"text"])
def test_damaged_tags_are_as_good_as_none(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "song.mp3"
    path.write_bytes(content)
    assert read_file_tags(path) == FileTags()
