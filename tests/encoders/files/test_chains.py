"""Streams that change midway: every link is heard, whatever its codec, rate and channels are."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from encoders.errors import TooLongError
from encoders.media.decode import decode
from encoders.media.decoded import MediaLimits
from encoders.media.files.content import content_of
from encoders.media.files.ogg import links_of
from encoders.media.native import decode_native
from tests.encoders.files.odd_files import KINDS, Kind, chained_ogg, joined, written

VORBIS, LOW = Kind("ogg", "vorbis"), Kind("ogg", "vorbis", 22_050)
OPUS, FLAC, SIX = KINDS["opus"], KINDS["oga"], Kind("ogg", "libopus", 48_000, "5.1")
MONO = Kind("ogg", "libopus", 48_000, "mono")  # FFmpeg's own Vorbis encoder knows stereo alone
RATES = (16_000, 22_050, 44_100)


@pytest.mark.parametrize(
    "links",
    [
        (VORBIS, VORBIS),
        (VORBIS, MONO),
        (MONO, VORBIS, MONO),
        (VORBIS, LOW),
        (OPUS, MONO),
        (OPUS, SIX),
        (VORBIS, OPUS),
        (OPUS, VORBIS, LOW),
        (FLAC, OPUS),
        (FLAC, Kind("ogg", "flac", 48_000, "mono")),
    ],
    ids=lambda links: "-".join(f"{kind.codec}.{kind.rate}.{kind.layout}" for kind in links),
)
def test_all_links_are_decoded_at_every_rate(links: tuple[Kind, ...], tmp_path: Path) -> None:
    path = chained_ogg(tmp_path / "chain.ogg", *links)
    parts = [decode(tmp_path / f"link{number}.ogg", sample_rates=RATES) for number in range(len(links))]
    for source in (path, path.read_bytes()):
        audio = decode(source, sample_rates=RATES)
        assert (audio.partial, audio.notes) == (None, ())
        assert audio.duration_s == pytest.approx(sum(part.duration_s for part in parts), abs=1e-6)
        for rate in RATES:
            expected = np.concatenate([part.waveforms[rate] for part in parts])
            got = audio.waveforms[rate]
            assert got.size == pytest.approx(expected.size, abs=len(links))
            middle = slice(got.size - 2 * rate, got.size - rate)  # of the last link
            level = np.sqrt(np.mean(got[middle] ** 2))
            assert level == pytest.approx(np.sqrt(np.mean(expected[middle] ** 2)), rel=0.02)
    assert decode_native(path).duration_s == pytest.approx(audio.duration_s, abs=0.01)


def test_one_stream_of_many_pages_is_no_chain(tmp_path: Path) -> None:
    path = written(tmp_path / "x.ogg", VORBIS, 20.0)
    with content_of(path, "x") as content:
        assert links_of(content).parts == [(0, path.stat().st_size)]
    doubled = joined(tmp_path / "y.ogg", path, path)  # with one serial number
    with content_of(doubled, "y") as content:
        assert links_of(content).parts == [(0, content.size // 2), (content.size // 2, content.size)]
    assert decode(doubled, sample_rates=[16_000]).duration_s == pytest.approx(
        2 * decode(path, sample_rates=[16_000]).duration_s
    )


def test_a_link_that_cannot_be_read_costs_itself_alone(tmp_path: Path) -> None:
    good = written(tmp_path / "good.ogg", VORBIS, 3.0)
    content = bytearray(good.read_bytes())
    content[60:4000] = bytes(3940)  # the headers
    (tmp_path / "bad.ogg").write_bytes(content)
    audio = decode(joined(tmp_path / "x.ogg", good, tmp_path / "bad.ogg", good), sample_rates=[16_000])
    assert audio.duration_s == pytest.approx(2 * decode(good, sample_rates=[16_000]).duration_s)
    assert audio.notes == ("skipped 1 streams of the chain that cannot be read",)


def test_junk_between_links_is_passed_over(tmp_path: Path) -> None:
    good = written(tmp_path / "good.ogg", VORBIS, 3.0)
    (tmp_path / "junk").write_bytes(b"no page OggS here" * 9000)
    audio = decode(joined(tmp_path / "x.ogg", good, tmp_path / "junk", good), sample_rates=[16_000])
    assert audio.duration_s == pytest.approx(2 * decode(good, sample_rates=[16_000]).duration_s)
    assert audio.partial is None


def test_the_limit_holds_for_the_whole_chain(tmp_path: Path) -> None:
    path = chained_ogg(tmp_path / "x.ogg", VORBIS, OPUS, VORBIS)
    with pytest.raises(TooLongError, match="more than the accepted 7 s"):
        decode(path, sample_rates=[16_000], limits=MediaLimits(max_duration_s=7))


@pytest.mark.parametrize("name", ["mp3", "aac", "ac3", "flac", "mp2", "eac3"])
@pytest.mark.parametrize("change", ["mono", "48000"])
def test_frames_may_change_their_format_midway(name: str, change: str, tmp_path: Path) -> None:
    kind = KINDS[name]
    other = replace(kind, layout="mono") if change == "mono" else replace(kind, rate=48_000)
    first, second = written(tmp_path / f"a.{name}", kind, 5.0), written(tmp_path / f"b.{name}", other, 5.0)
    audio = decode(joined(tmp_path / f"c.{name}", first, second), sample_rates=RATES)
    for rate in RATES:
        assert audio.waveforms[rate].size == pytest.approx(10 * rate, rel=0.02)
    assert audio.partial is None
