"""Rendering: what a song is arranged to, and what becomes of a folder of them; played where there is a fluidsynth."""

import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import mido
import numpy as np
import pytest

from api.cli.main import main
from encoders.media.decode import decode
from encoders.training.corpus import CorpusError
from encoders.training.rendering import arrange, chance
from tests.conftest import Done, loaded

BEAT = 480
TUNE = [60, 64, 67, 72]
BASS = [36, 36, 43, 41]
FONTS = sorted(
    (path for folder in ("sounds", "soundfonts") for path in Path("/usr/share", folder).rglob("*.sf[23]")),
    key=lambda path: path.stat().st_size,
)
played = pytest.mark.skipif(
    not (FONTS and shutil.which("fluidsynth")), reason="needs fluidsynth on the PATH and a soundfont in /usr/share"
)


def notes(pitches: list[int], channel: int, beats: int) -> list[mido.Message]:
    """A note a beat."""
    messages = []
    for beat in range(beats):
        pitch = pitches[beat % len(pitches)]
        messages.append(mido.Message("note_on", channel=channel, note=pitch, velocity=90))
        messages.append(mido.Message("note_off", channel=channel, note=pitch, time=BEAT))
    return messages


def song(path: Path, *tracks: list[mido.Message], tempo: int = 500_000, beat: int = BEAT) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    head = mido.MidiTrack([mido.MetaMessage("set_tempo", tempo=tempo)])
    file = mido.MidiFile(ticks_per_beat=beat, tracks=[head, *(mido.MidiTrack(track) for track in tracks)])
    file.save(path)
    return path


@pytest.fixture
def long_song(tmp_path: Path) -> Path:
    """A tune, a bass and drums, of 100 beats."""
    return song(tmp_path / "long.mid", notes(TUNE, 0, 100), notes([38], 9, 100), notes(BASS, 3, 100))


def sounding(track: mido.MidiTrack) -> list[tuple[int, int]]:
    """When which note begins."""
    times = np.cumsum([message.time for message in track])
    return [(int(time), one.note) for time, one in zip(times, track, strict=True) if one.type == "note_on"]


def programs(made: mido.MidiFile) -> list[int]:
    return [message.program for track in made.tracks for message in track if message.type == "program_change"]


def with_drums(made: mido.MidiFile) -> bool:
    return any(getattr(message, "channel", None) == 9 for track in made.tracks for message in track)


def test_a_stretch_is_another_key_and_tempo_and_the_same_tune(long_song: Path) -> None:
    """Ten seconds at 120 beats a minute are 20 beats, at 96 to 150 are 16 to 25."""
    lengths, shifts = set(), set()
    for seed in range(30):
        made = arrange(long_song, np.random.default_rng(seed), seconds=10)
        [tempo] = [message.tempo for message in made.tracks[0] if message.type == "set_tempo"]
        assert 400_000 <= tempo <= 625_000
        length = int(10e6 / tempo * BEAT)
        tune, bass = made.tracks[1:3]
        assert sum(message.time for message in tune) == length
        begun = sounding(tune)
        assert begun[0][0] == 0  # where a bar begins
        assert {time % BEAT for time, _ in begun} == {0}
        assert length // BEAT <= len(begun) <= length // BEAT + 1
        shift = begun[0][1] - TUNE[0]
        assert begun == [(BEAT * at, TUNE[at % 4] + shift) for at in range(len(begun))]
        assert sounding(bass) == [(BEAT * at, BASS[at % 4] + shift) for at in range(len(begun))]
        assert all(program <= 103 for program in programs(made))
        assert [(message.type, message.control) for message in tune[-2:-1]] == [("control_change", 123)]
        lengths.add(length)
        shifts.add(shift)
    assert len(lengths) > 20
    assert {-6, 6} <= shifts <= set(range(-6, 7))


def test_most_get_drums_of_their_own_within_the_stretch(long_song: Path) -> None:
    made = [arrange(long_song, np.random.default_rng(seed), seconds=20) for seed in range(60)]
    assert 30 <= sum(map(with_drums, made)) <= 55
    bars = set()
    for one in filter(with_drums, made):
        drums = sounding(one.tracks[-1])
        assert drums[-1][0] <= sum(message.time for message in one.tracks[1])
        bar = [hit for hit in drums if hit[0] < 4 * BEAT]
        assert (0, 36) in bar
        assert [(time + 4 * BEAT, note) for time, note in bar] == [
            hit for hit in drums if 4 * BEAT <= hit[0] < 8 * BEAT
        ]
        bars.add(tuple(bar))
    assert len(bars) > 20


def test_a_song_shorter_than_the_stretch_is_played_whole(tmp_path: Path) -> None:
    short = song(tmp_path / "short.mid", notes(TUNE, 0, 6))
    made = arrange(short, np.random.default_rng(3), seconds=60)
    assert [time for time, _ in sounding(made.tracks[1])] == [BEAT * beat for beat in range(6)]


def test_channels_of_one_track_are_voices_of_their_own(tmp_path: Path) -> None:
    """As in files of type 0, which have a single track; ten are one too many, as the tenth channel has the drums."""
    both = [message for pair in zip(notes(TUNE, 0, 8), notes(BASS, 5, 8), strict=True) for message in pair]
    made = arrange(song(tmp_path / "both.mid", both), np.random.default_rng(0), seconds=60)
    assert len(programs(made)) == 2
    many = [notes(TUNE, channel, 8) for channel in range(16)]
    made = arrange(song(tmp_path / "many.mid", *many), np.random.default_rng(0), seconds=60)
    assert len(programs(made)) == 9
    assert {message.channel for track in made.tracks[1:10] for message in track if not message.is_meta} == set(range(9))


def test_chance_is_of_the_key_and_the_seed_alone() -> None:
    drawn = [chance(*of).integers(2**60) for of in (("a/1.mid", 0), ("a/1.mid", 0), ("b/1.mid", 0), ("a/1.mid", 1))]
    assert drawn[0] == drawn[1]
    assert len(set(drawn)) == 3


@pytest.mark.parametrize(("tempo", "beat"), [(0, BEAT), (1, BEAT), (16_777_215, BEAT), (500_000, 1), (500_000, 3)])
def test_a_strange_clock_is_played(tempo: int, beat: int, tmp_path: Path) -> None:
    strange = song(tmp_path / "strange.mid", notes(TUNE, 0, 40), tempo=tempo, beat=beat)
    for seed in range(10):
        made = arrange(strange, np.random.default_rng(seed), seconds=10)
        made.save(tmp_path / "made.mid")
        assert sum(map(len, made.tracks)) < 10_000


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "not a readable MIDI file"),
        (b"not a song at all", "not a readable MIDI file"),
        (b"MThd\0\0\0\6\0\1\0\1\1\xe0MTrk\0\0\0\x10\0\x90", "not a readable MIDI file"),
        (b"MThd\0\0\0\6\0\1\0\1\1\xe0MTrk\0\0\0\7\0\xff\x59\2\x33\0\0", "not a readable MIDI file"),  # a key of 51 #
        (b"MThd\0\0\0\6\0\1\0\0\1\xe0", "no notes in it"),
        (b"MThd\0\0\0\6\0\1\0\1\xe7\x28MTrk\0\0\0\x08\0\x90\x40\x40\1\x80\x40\0", "in SMPTE frames"),
    ],
)
def test_what_cannot_be_arranged_is_named(content: bytes, message: str, tmp_path: Path) -> None:
    path = tmp_path / "letter.mid"
    path.write_bytes(content)
    with pytest.raises(CorpusError, match=rf"letter\.mid: {message}"):
        arrange(path, np.random.default_rng(0), seconds=10)


def test_drums_alone_are_no_song(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match="no notes in it, but for drums"):
        arrange(song(tmp_path / "drums.mid", notes([38], 9, 8)), np.random.default_rng(0), seconds=10)


Train = Callable[..., Done]


@pytest.fixture
def train(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Train:
    """Run `soundalike train …`, which needs no catalogue."""
    monkeypatch.setenv("SOUNDALIKE_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("COLUMNS", "200")

    def call(*arguments: str | Path, expect: int = 0) -> Done:
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main(["train", *map(str, arguments)])
        done = Done(*capsys.readouterr())
        assert ended.value.code == expect, done
        return done

    return call


@pytest.fixture
def songs(tmp_path: Path) -> Path:
    """One song twice, by one name in two folders."""
    for folder in ("first", "second"):
        song(tmp_path / "songs" / folder / "tune.mid", notes(TUNE, 0, 20), notes(BASS, 1, 20))
    return tmp_path / "songs"


@pytest.fixture
def font(tmp_path: Path) -> Path:
    """What looks like a soundfont."""
    path = tmp_path / "font.sf2"
    path.write_bytes(b"RIFF\0\0\0\0sfbk")
    return path


@pytest.fixture
def dying(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In fluidsynth's place, what is killed half way through a file."""
    program = tmp_path / "bin" / "fluidsynth"
    program.parent.mkdir()
    program.write_text('#!/bin/sh\nwhile [ "$1" != -F ]; do shift; done\necho half > "$2"\nkill -9 $$\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:/usr/bin:/bin")


@played
def test_a_folder_is_played_once_each_song_by_a_band_of_its_own(train: Train, songs: Path, tmp_path: Path) -> None:
    (songs / "second" / "letter.mid").write_text("not a song")
    arguments = ("render", songs, "--soundfont", FONTS[0], "--seconds", "5", "--out")
    report = loaded(train(*arguments, tmp_path / "out", "--json", expect=3))
    assert (report["rendered"], report["unchanged"]) == (2, 0)
    [(key, reason)] = report["failed"].items()
    assert (key, reason.partition(" (")[0]) == ("songs/second/letter.mid", "not a readable MIDI file")
    first, second = (tmp_path / "out" / "songs" / folder / "tune.flac" for folder in ("first", "second"))
    for path in (first, second):
        audio = decode(path, sample_rates=[16_000])
        assert audio.duration_s > 4
        assert np.abs(audio.waveforms[16_000]).max() > 0.01
    assert first.read_bytes() != second.read_bytes()

    first.unlink()
    again = train(*arguments, tmp_path / "out", expect=3)
    assert again.stdout == f"{tmp_path / 'out'}: 1 rendered, 1 unchanged, 1 failed\n"
    assert again.stderr.startswith("songs/second/letter.mid: not a readable MIDI file (")
    (songs / "second" / "letter.mid").unlink()
    train(*arguments, tmp_path / "elsewhere")
    train(*arguments, tmp_path / "seeded", "--seed", "1")
    same, seeded = (tmp_path / out / "songs" / "first" / "tune.flac" for out in ("elsewhere", "seeded"))
    assert same.read_bytes() == first.read_bytes() != seeded.read_bytes()

    corpus = loaded(train("corpus", tmp_path / "out", "--out", tmp_path / "corpus", "--json"))
    assert (corpus["tracks"], corpus["groups"]) == (2, ["songs"])


@played
def test_a_soundfont_that_cannot_be_loaded_plays_no_silence(train: Train, songs: Path, tmp_path: Path) -> None:
    cut = tmp_path / "cut.sf2"
    cut.write_bytes(FONTS[0].read_bytes()[:100_000])
    done = train("render", songs, "--soundfont", cut, "--out", tmp_path / "out", expect=3)
    assert f"songs/first/tune.mid: fluidsynth could not play it with {cut}: " in done.stderr
    assert not [path for path in (tmp_path / "out").rglob("*") if path.is_file()]


def test_half_a_file_does_not_stay(train: Train, songs: Path, font: Path, dying: None, tmp_path: Path) -> None:
    done = train("render", songs, "--soundfont", font, "--out", tmp_path / "out", expect=3)
    assert "0 rendered, 0 unchanged, 2 failed" in done.stdout
    assert not [path for path in (tmp_path / "out").rglob("*") if path.is_file()]


def test_what_is_missing_is_told(
    train: Train, songs: Path, font: Path, dying: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    render = ("render", songs, "--out", tmp_path / "out", "--soundfont")
    assert "nowhere.sf2: no such file" in train(*render, "nowhere.sf2", expect=1).stderr
    tune = songs / "first" / "tune.mid"
    assert f"{tune}: not a soundfont (accepted: SF2, SF3)" in train(*render, tune, expect=1).stderr
    (tmp_path / "empty").mkdir()
    nothing = train("render", tmp_path / "empty", "--out", tmp_path / "out", "--soundfont", font, expect=1)
    assert nothing.stderr == f"soundalike: {tmp_path / 'empty'}: no MIDI file in it (accepted: .mid)\n"
    with monkeypatch.context() as without:
        without.setitem(sys.modules, "mido", None)
        assert "needs mido: pip install 'soundalike[training]'" in train(*render, font, expect=1).stderr
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "fluidsynth is not on the PATH" in train(*render, font, expect=1).stderr
    assert not (tmp_path / "out").exists()
