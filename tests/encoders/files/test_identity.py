"""Which audio a file holds: the same for every door and after every retag, and never the same for other audio."""

import io
import shutil
from pathlib import Path

import pytest

from encoders.errors import NoAudioError, UnreadableMediaError
from encoders.media.decode import decode
from encoders.media.decoder_process import DecoderProcess
from encoders.media.files.content import Content, Window
from encoders.media.files.packets import identify
from tests.encoders.files.odd_files import KINDS, Kind, chained_ogg, of_kind, with_hole, written
from tests.encoders.files.retagging import changes_of, retagged
from tests.encoders.test_media import encoded, sine

RATE = 16_000


@pytest.mark.parametrize("name", KINDS)
def test_both_doors_agree_and_a_retag_changes_nothing(name: str, tmp_path: Path) -> None:
    path = of_kind(tmp_path, name, 3.0)
    audio = identify(path)
    assert len(audio) == 64
    assert decode(path, sample_rates=[RATE]).audio_hash == audio
    assert identify(path.read_bytes()) == decode(path.read_bytes(), sample_rates=[RATE]).audio_hash == audio
    for other in retagged(path):
        assert other.read_bytes() != path.read_bytes()
        again = decode(other, sample_rates=[RATE])
        assert (identify(other), again.audio_hash) == (audio, audio), other.name
        assert (again.partial, again.notes) == (None, ()), other.name


def test_most_kinds_can_be_retagged(tmp_path: Path) -> None:
    assert sum(len(changes_of(tmp_path / f"x.{name}")) for name in KINDS) >= 60


@pytest.mark.parametrize("name", KINDS)
def test_another_audio_has_another_hash(name: str, tmp_path: Path) -> None:
    kind = KINDS[name]
    path = written(tmp_path / f"a.{name}", kind, 3.0)
    shorter = written(tmp_path / f"b.{name}", kind, 2.0)
    damaged = with_hole(path, 0.6, 0.61)
    assert len({identify(path), identify(shorter), identify(damaged)}) == 3


def test_rate_and_channels_are_part_of_it(tmp_path: Path) -> None:
    path = written(tmp_path / "x.wav", Kind("wav", "pcm_s16le", 44_100), 2.0)
    content = path.read_bytes()
    slower = content[:24] + (22_050).to_bytes(4, "little") + content[28:]
    mono = content[:22] + b"\1\0" + content[24:28] + (88_200).to_bytes(4, "little") + b"\2\0" + content[34:]
    assert len({identify(content), identify(slower), identify(mono)}) == 3


def test_how_pcm_is_cut_into_packets_is_none_of_it(tmp_path: Path) -> None:
    of_wav = identify(written(tmp_path / "x.wav", Kind("wav", "pcm_s16le"), 2.0))
    assert identify(written(tmp_path / "x.mov", Kind("mov", "pcm_s16le"), 2.0)) == of_wav
    assert identify(written(tmp_path / "x.mka", Kind("matroska", "pcm_s16le"), 2.0)) == of_wav


def test_each_link_of_a_chain_counts(tmp_path: Path) -> None:
    vorbis, opus = KINDS["ogg"], KINDS["opus"]
    chain = chained_ogg(tmp_path / "x.ogg", vorbis, opus, duration_s=2.0)
    assert identify(chain) == decode(chain, sample_rates=[RATE]).audio_hash
    assert len({identify(chain), *(identify(tmp_path / f"link{number}.ogg") for number in range(2))}) == 3


def test_pictures_beside_the_sound_are_none_of_it() -> None:
    with_picture = encoded(sine(), "aac", "mp4", video=True)
    assert identify(with_picture) == identify(encoded(sine(), "aac", "mp4"))


def test_the_child_says_the_same(tmp_path: Path) -> None:
    path = of_kind(tmp_path, "flac", 2.0)
    with DecoderProcess() as decoder:
        assert decoder.identify(path) == decoder.identify(path.read_bytes()) == identify(path)
        assert decoder.decode(path, sample_rates=[RATE]).audio_hash == identify(path)


def test_what_holds_no_audio_is_refused(tmp_path: Path) -> None:
    (tmp_path / "text.mp3").write_text("words, not music\n" * 100)
    (tmp_path / "empty.ogg").write_bytes(b"")
    silent = tmp_path / "silent.mp4"
    silent.write_bytes(encoded(None, "aac", "mp4", video=True))
    with DecoderProcess() as decoder:
        for door in (identify, decoder.identify):
            with pytest.raises(UnreadableMediaError, match=r"text\.mp3: not a readable"):
                door(tmp_path / "text.mp3")
            with pytest.raises(UnreadableMediaError, match="file is empty"):
                door(tmp_path / "empty.ogg")
            with pytest.raises(UnreadableMediaError, match="no such file"):
                door(tmp_path / "nowhere.ogg")
            with pytest.raises(UnreadableMediaError, match="upload: not a readable"):
                door(b"words, not music")
            with pytest.raises(NoAudioError, match="no audio stream"):
                door(silent)


def test_a_file_that_ends_the_child_costs_itself_alone(tmp_path: Path, faulty_decoder: None) -> None:
    path = of_kind(tmp_path, "wav", 2.0)
    bad = tmp_path / "SIGSEGV.wav"
    shutil.copy(path, bad)
    with DecoderProcess() as decoder:
        with pytest.raises(UnreadableMediaError, match="stopped by SIGSEGV"):
            decoder.identify(bad)
        assert decoder.identify(path) == identify(path)


def test_a_window_is_a_file() -> None:
    whole = bytes(range(200))
    window = Window(Content(200, lambda offset, length: whole[offset : offset + length]), 50, 150, "x")
    assert window.read() == whole[50:150]
    assert (window.seek(-10, io.SEEK_END), window.read(20), window.tell(), window.read(1)) == (
        90,
        whole[140:150],
        100,
        b"",
    )
    assert (window.seek(5), window.seek(5, io.SEEK_CUR), window.read(2)) == (5, 10, whole[60:62])
    assert window.seek(-5000, io.SEEK_CUR) == 0
