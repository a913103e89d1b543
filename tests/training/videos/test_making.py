from __future__ import annotations

import dataclasses
import json
import wave
from typing import TYPE_CHECKING

import cv2
import numpy as np
import pytest

from encoders.analysis.findings import Key, Rhythm
from encoders.media.decode import decode
from encoders.media.video.reading import read_footage
from encoders.training.corpus import CorpusError
from encoders.training.videos.editing import SYNCS, Habits, edit, some_habits
from encoders.training.videos.families import FAMILIES, Moment, palette
from encoders.training.videos.filming import Look, film
from encoders.training.videos.listening import heard, mood
from encoders.training.videos.making import ClipOptions, read_clips, write_clips, write_video
from encoders.training.videos.pictures import described, read_pictures

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from encoders.training.videos.listening import Heard
    from encoders.training.videos.pictures import Picture

RATE = 22_050
LENGTH_S = 16.0
BEATS_S = np.arange(0.5, LENGTH_S - 0.1, 0.5)


def clicks(loudness: NDArray[np.float64] | None = None) -> NDArray[np.float32]:
    """Clicks of 120 beats a minute over a hum, float32 [samples] at 22,050 Hz; loudness is 0 … 1, four a second."""
    time_s = np.arange(int(LENGTH_S * RATE)) / RATE
    since_s = (time_s - BEATS_S[0]) % 0.5
    sound = 0.3 * np.sin(2 * np.pi * 1500 * time_s) * np.exp(-since_s * 60) * (time_s >= BEATS_S[0])
    hum = 0.05 * np.sin(2 * np.pi * 220 * time_s)
    if loudness is not None:
        hum *= 10 ** (np.interp(time_s, np.arange(len(loudness)) / 4, loudness) * 2 - 1)
        sound *= 0
    return (sound + hum).astype(np.float32)


class Metronome:
    """Tells of the beats that were put there."""

    sample_rate = RATE
    version = "told"

    def track(self, waveform: NDArray[np.float32]) -> tuple[Rhythm, Key | None]:
        beats = len(BEATS_S)
        return Rhythm(120.0, BEATS_S, np.arange(beats) % 4 + 1, 4, 1.0), Key("C", "major", 0.9)


def told(waveform: NDArray[np.float32]) -> Heard:
    return heard(np.repeat(waveform, 2), waveform, RATE, Metronome().track(waveform))


def some_pictures(count: int = 12) -> tuple[Picture, ...]:
    rng = np.random.default_rng(3)
    blocks = [rng.integers(0, 256, (6, 9, 3), np.uint8) for _ in range(count)]
    return tuple(
        described(str(number), np.asarray(cv2.resize(block, (432, 288), interpolation=cv2.INTER_CUBIC), np.uint8))
        for number, block in enumerate(blocks)
    )


@pytest.mark.parametrize(("sync", "step_s"), [("beats", 0.5), ("downbeats", 2.0), ("2 bars", 4.0), ("onsets", 0.5)])
def test_cuts_are_on_what_they_follow(sync: str, step_s: float) -> None:
    music = told(clicks())
    start_s = 1.3
    cuts_s = edit(music, start_s, 13.0, Habits(sync, shot_s=1.2), np.random.default_rng(0)).cuts_s
    first_s = BEATS_S[0] % step_s
    off_s = (cuts_s + start_s - first_s + step_s / 2) % step_s - step_s / 2
    if sync == "2 bars":  # either of two bars may be the first
        off_s = (off_s + 1) % 2 - 1
    assert len(cuts_s) >= 2
    assert np.abs(off_s).max() <= 0.02 + 0.02 * (sync == "onsets") + 1e-9  # half a frame, and half a spectrum's step


def test_jitter_is_as_wide_as_it_says_and_nothing_follows_nothing() -> None:
    music = told(clicks())
    habits = Habits("beats", shot_s=0.5, jitter_s=0.04)
    cuts = [edit(music, 0.0, 15.0, habits, np.random.default_rng(seed)).cuts_s for seed in range(20)]
    off_s = (np.concatenate(cuts) + 0.25) % 0.5 - 0.25
    assert 0.03 < off_s.std() < 0.055
    free = [
        edit(music, 0.0, 15.0, dataclasses.replace(habits, sync="nothing"), np.random.default_rng(seed)).cuts_s
        for seed in range(20)
    ]
    assert ((np.concatenate(free) + 0.25) % 0.5 - 0.25).std() > 0.12  # even over a beat it is .144


def test_a_file_has_its_cuts_and_its_sound_where_it_says(tmp_path: Path) -> None:
    music = told(clicks())
    decided = edit(music, 0.0, 12.0, Habits("downbeats", shot_s=1.5, motion=0.5), np.random.default_rng(1))
    frames = film(decided, "slideshow", some_pictures(), Look(), np.random.default_rng(2))
    write_video(frames, music.sound, decided, tmp_path / "a.mp4")
    footage = read_footage(tmp_path / "a.mp4")
    np.testing.assert_allclose(footage.cuts_s, decided.cuts_s, atol=1e-6)
    assert footage.has_sound
    assert footage.duration_s == pytest.approx(12.0)
    sound = decode(tmp_path / "a.mp4", sample_rates=(RATE,)).waveforms[RATE]
    loud = np.flatnonzero(np.abs(sound) > 0.15)
    assert loud[0] / RATE == pytest.approx(BEATS_S[0], abs=0.01)


@pytest.mark.parametrize("style", ["slideshow", "plasma", "shapes"])
def test_motion_follows_loudness_as_far_as_it_is_to(style: str, tmp_path: Path) -> None:
    loudness = np.repeat([0.0, 1.0, 0.3, 0.9], 16)  # four seconds each
    music = told(clicks(loudness))
    following: list[float] = []
    for follows in (1.0, 0.0):
        habits = Habits("nothing", shot_s=60, follows_loudness=follows)
        decided = edit(music, 0.0, 15.9, habits, np.random.default_rng(0))
        frames = film(decided, style, some_pictures(), Look(), np.random.default_rng(1))
        write_video(frames, music.sound, decided, tmp_path / "a.mp4")
        footage = read_footage(tmp_path / "a.mp4")
        there = np.interp(np.arange(len(footage.motion)) / footage.rate, np.arange(len(loudness)) / 4, loudness)
        following.append(float(np.corrcoef(footage.motion, there)[0, 1]))
    assert following[0] > 0.6
    assert abs(following[1]) < 0.4


def test_rate_of_cuts_grows_with_arousal() -> None:
    calm, stirring = told(clicks(np.full(65, 0.5))), told(clicks())
    assert mood(calm, 0, 15).arousal < mood(stirring, 0, 15).arousal - 0.1
    assert mood(told(0.1 * clicks()), 0, 15).arousal == pytest.approx(mood(stirring, 0, 15).arousal, abs=0.02)
    shots = [
        np.mean([np.log(some_habits(music, 0.0, 15.0, np.random.default_rng(seed)).shot_s) for seed in range(60)])
        for music in (calm, stirring)
    ]
    assert shots[1] < shots[0] - 0.1


def test_what_has_no_beats_is_not_cut_on_beats() -> None:
    music = dataclasses.replace(told(clicks()), rhythm=Rhythm(None, np.empty(0), np.empty(0, np.int64), None, 0.0))
    syncs = {some_habits(music, 0.0, 15.0, np.random.default_rng(seed)).sync for seed in range(60)}
    assert syncs == {"onsets", "nothing"} < set(SYNCS)


@pytest.mark.parametrize("name", FAMILIES)
def test_a_pattern_moves_and_is_the_same_at_the_same_moment(name: str) -> None:
    rng = np.random.default_rng(0)
    draw = FAMILIES[name](palette(0.1, 0.7, 0.3, rng), rng)
    first, later, again = (draw(Moment(phase, 0.2, 0.6)) for phase in (1.0, 1.4, 1.0))
    assert first.shape == (144, 256, 3)
    assert first.dtype == np.uint8
    assert first.std() > 5
    np.testing.assert_array_equal(first, again)
    assert np.abs(first.astype(int) - later).mean() > 0.2


@pytest.fixture
def tracks(tmp_path: Path) -> list[tuple[str, Path]]:
    folder = tmp_path / "music"
    folder.mkdir()
    sounds = {"a": clicks(), "b": 0.5 * clicks(), "short": clicks()[: 5 * RATE]}
    for name, sound in sounds.items():
        with wave.open(str(folder / f"{name}.wav"), "wb") as file:
            file.setparams((1, 2, RATE, 0, "NONE", ""))
            file.writeframes((sound * 32767).astype("<i2").tobytes())
    return [(f"pack/{name}.wav", folder / f"{name}.wav") for name in sounds]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "pictures"
    made.mkdir()
    for picture in some_pictures(3):
        cv2.imwrite(str(made / f"{picture.name}.png"), picture.pixels)
    return made


def test_the_same_seed_makes_the_same_clips_and_what_is_there_stays(
    tracks: list[tuple[str, Path]], folder: Path, tmp_path: Path
) -> None:
    options = ClipOptions(clips=3, seed=4)
    contents = []
    for name in ("one", "two"):
        made = list(write_clips(tracks[:2], [folder], tmp_path / name, Metronome(), options))
        assert all(one.is_new for one in made)
        contents.append([(tmp_path / name / one.clip.file).read_bytes() for one in made if one.clip])
    assert contents[0] == contents[1]
    assert len({len(content) for content in contents[0]}) == 3
    lines = [json.loads(line) for line in (tmp_path / "one" / "clips.jsonl").read_text().splitlines()]
    assert {line["track"] for line in lines} == {"pack/a.wav", "pack/b.wav"}
    assert {line["file"].split("/")[0] for line in lines} == {"pack-a", "pack-b"}
    for line in lines:
        assert 12 <= line["duration_s"] <= LENGTH_S - line["start_s"] + 0.02
    again = list(write_clips(tracks[:2], [folder], tmp_path / "one", Metronome(), options))
    assert not any(one.is_new for one in again)
    assert read_clips(tmp_path / "one") == [one.clip for one in again]
    other = write_clips(tracks[:2], [folder], tmp_path / "one", Metronome(), dataclasses.replace(options, seed=5))
    assert all(one.is_new for one in other)


def test_what_cannot_be_used_is_told(tracks: list[tuple[str, Path]], folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    made = list(write_clips(tracks[2:], [], out, Metronome(), ClipOptions(1, styles=("bars",))))
    assert [one.clip for one in made] == [None]
    assert "at least 12 s" in str(made[0].reason)
    for styles, pictures, message in (
        (("bras",), [folder], "unknown style bras .accepted: slideshow"),
        (("slideshow",), [tmp_path / "music"], "no picture in it"),
        (("montage",), [], "no folder"),
    ):
        with pytest.raises(CorpusError, match=message):
            list(write_clips(tracks, pictures, out, Metronome(), ClipOptions(1, styles=styles)))
    (folder / "torn.png").write_bytes((folder / "0.png").read_bytes()[:20])
    with pytest.raises(CorpusError, match=r"torn\.png: unreadable picture"):
        read_pictures([folder])
    with pytest.raises(CorpusError, match="no track"):
        list(write_clips([], [folder], out, Metronome(), ClipOptions(1)))
    (out / "clips.jsonl").write_text('{"file": "a/00.mp4"}\n')
    with pytest.raises(CorpusError, match="tells of no clip"):
        read_clips(out)
