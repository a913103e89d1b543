"""`match-video`: the same answers as over HTTP, previews that are as long as their clips, and one line for every no."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

import av
import numpy as np
import pytest

from api.previewing import STILL_S, music_for
from encoders.media.decode import decode
from encoders.media.native import NativeAudio
from encoders.media.writing import write_audio
from retrieval.search.video.placing import Placement
from tests.api.video.conftest import KEYS, cut_every
from tests.conftest import Run, loaded
from tests.encoders.media_video.clips import picture, texture

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from api.wiring import Soundalike


@pytest.fixture
def film(tmp_path: Path) -> Path:
    """Four seconds, cut every half."""
    path = tmp_path / "film.mp4"
    path.write_bytes(cut_every(0.5, 4.0))
    return path


def only(*tracks: str) -> str:
    return json.dumps({"must": [{"key": "track", "match": {"any": list(tracks)}}]})


def played(path: Path) -> tuple[float, float, NDArray[np.float32]]:
    """How long its pictures and its sound are, in seconds, and the sound at 16 kHz."""
    with av.open(str(path)) as container:
        video = container.streams.video[0]
        pictures_s = float(video.duration * video.time_base)
    sound = decode(path, sample_rates=[16_000]).waveforms[16_000]
    return pictures_s, len(sound) / 16_000, sound


def test_json_and_table_say_the_same(run: Run, film: Path) -> None:
    answer = loaded(run("match-video", film, "--json", "--limit", "4", "--explain", "--end-s", "3"))
    assert len(answer["results"]) == 4
    assert answer["clip"]["duration_s"] == pytest.approx(3.0, abs=0.05)
    shown = run("match-video", film, "--limit", "4", "--end-s", "3", COLUMNS="80").stdout
    assert shown.startswith(f"{film}: 3.0 s, 5 cuts")
    assert [shown.index(result["track"]) for result in answer["results"]] == sorted(
        shown.index(result["track"]) for result in answer["results"]
    )
    stats = answer["stats"]
    assert f"4 of {stats['matching']} tracks, {stats['path']} search, " in shown
    assert [word for word in ("from – to", "speed", "in time") if word in shown] == ["from – to", "speed", "in time"]


def test_a_preview_shows_the_clip_with_music_as_long(run: Run, film: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.mp4"
    done = run("match-video", film, "--start-s", "1", "--end-s", "3.5", "--preview", out, "--filter", only(KEYS[1]))
    assert f"{out}: {film} with {KEYS[1]}" in done.stdout
    pictures_s, sound_s, sound = played(out)
    assert pictures_s == pytest.approx(2.5, abs=0.1)
    assert sound_s == pytest.approx(2.5, abs=0.1)
    assert np.abs(sound).max() > 0.05
    assert sorted(path.name for path in tmp_path.iterdir()) == ["film.mp4", "out.mp4"]


def test_a_picture_is_shown_for_a_while(run: Run, tmp_path: Path) -> None:
    still, out = tmp_path / "still.png", tmp_path / "still.mp4"
    still.write_bytes(picture(texture(4)))
    answer = loaded(run("match-video", still, "--preview", out, "--json"))
    assert answer["clip"]["is_picture"]
    shown = run("match-video", still).stdout
    assert "from" in shown
    assert not [word for word in ("–", "speed", "×", "in time") if word in shown]  # nothing ends under a picture
    pictures_s, sound_s, _ = played(out)
    assert pictures_s == pytest.approx(STILL_S, abs=0.25)
    assert sound_s == pytest.approx(STILL_S, abs=0.1)


def test_music_shorter_than_the_clip_is_made_as_long(run: Run, tmp_path: Path) -> None:
    film, out = tmp_path / "long.mp4", tmp_path / "out.mp4"
    film.write_bytes(cut_every(2.0, 20.0))
    run("match-video", film, "--preview", out, "--filter", only("m/short.wav"))  # of 12 s
    pictures_s, sound_s, sound = played(out)
    assert pictures_s == pytest.approx(20.0, abs=0.1)
    assert sound_s == pytest.approx(20.0, abs=0.1)
    assert all(np.abs(sound[16_000 * second : 16_000 * (second + 1)]).max() > 0.01 for second in range(18))


def test_speech_is_kept_where_there_is_sound_and_where_there_is_none(run: Run, tmp_path: Path) -> None:
    for name, with_sound in (("sound.mp4", True), ("mute.mp4", False)):
        film, out = tmp_path / name, tmp_path / f"of-{name}"
        film.write_bytes(cut_every(1.0, 3.0, sound=with_sound))
        run("match-video", film, "--preview", out, "--keep-speech", "--filter", only(KEYS[1]))
        assert played(out)[1] == pytest.approx(3.0, abs=0.1)


def test_what_cannot_be_a_preview_is_refused_before_the_clip_is_watched(run: Run, film: Path, tmp_path: Path) -> None:
    before = film.read_bytes()
    (tmp_path / "folder.mp4").mkdir()
    for out, code, says in (
        (tmp_path / "out.avi", 2, "ends in .avi; accepted: a file that ends in .mp4"),
        (tmp_path / "nowhere" / "out.mp4", 1, "there is no folder"),
        (film, 2, "is what is read, and would be lost"),
    ):
        done = run("match-video", film, "--preview", out, expect=code)
        assert says in done.stderr
        assert not done.stdout
    run("match-video", film, "--preview", tmp_path / "folder.mp4", expect=1)
    assert "--preview" in run("match-video", film, "--keep-speech", expect=2).stderr
    assert film.read_bytes() == before


def test_nothing_that_fits_the_filter_is_no_preview(run: Run, film: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.mp4"
    done = run("match-video", film, "--preview", out, "--filter", only("m/none.wav"), expect=1)
    assert "0 tracks" in done.stdout
    assert "no track fits the filter" in done.stderr
    assert not out.exists()
    told = loaded(run("match-video", film, "--preview", out, "--filter", only("m/none.wav"), "--json", expect=1))
    assert list(told) == ["error"]  # one document


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("--start-s", "3", "--end-s", "3"), "--end-s"),
        (("--start-s", "60"), "--start-s: no picture from 60 s on; accepted: a moment before its end\n"),
        (("--start-s", "-1"), "--start-s"),
        (("--limit", "0"), "--limit"),
        (("--filter", "{"), "--filter"),
    ],
)
def test_the_option_that_is_wrong_is_named(run: Run, film: Path, options: tuple[str, ...], says: str) -> None:
    done = run("match-video", film, *options, expect=2)
    assert says in done.stderr
    assert not done.stdout


def test_what_is_no_video_is_said_in_a_line(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "song.wav"
    write_audio(NativeAudio(np.zeros((16_000, 1), np.float32), 16_000, "mono", 16), file)
    done = run("match-video", file, expect=1)
    assert done.stderr.startswith(f"soundalike: {file}")
    assert len(done.stderr.splitlines()) == 1
    file.write_bytes(b"text")
    assert len(run("match-video", file, expect=1).stderr.splitlines()) == 1


def test_a_catalogue_without_the_space_says_how_to_get_it(run: Run, film: Path, database_url: str) -> None:
    stderr = run("match-video", film, expect=1, DATABASE_URL=database_url).stderr
    assert "'video'" in stderr
    assert "soundalike index" in stderr


@pytest.mark.parametrize(
    ("rate", "layout", "channels"),
    [(22_050, "mono", 1), (44_100, "stereo", 2), (192_000, "stereo", 2), (48_000, "5.1", 6)],
)
@pytest.mark.parametrize("speed", [1.0, 1.03])
def test_tracks_of_every_kind_can_be_laid_under(
    here: Soundalike, tmp_path: Path, rate: int, layout: str, channels: int, speed: float
) -> None:
    path = tmp_path / "track.flac"
    wave = 0.2 * np.sin(2 * np.pi * 440 * np.arange(6 * rate) / rate).astype(np.float32)
    write_audio(NativeAudio(np.repeat(wave[:, None], channels, axis=1), rate, layout, 16), path)
    track = replace(here.catalog.track("m/short.wav"), uri=str(path), duration_s=6.0)
    music, music_rate = music_for(here, track, Placement(1.0, 1.0 + 4 * speed, speed, 0, 0, None, None), 4.0)
    assert music_rate in (22_050, 44_100, 48_000)
    assert music.shape[0] == min(channels, 2)
    assert music.shape[1] / music_rate == pytest.approx(4.0, abs=0.03)
    spectrum = np.abs(np.fft.rfft(music[0, music_rate : 3 * music_rate]))
    assert spectrum.argmax() / 2 == pytest.approx(440, abs=3)  # at another speed, of the same pitch
    assert np.abs(music[:, -10:]).max() < 0.01
