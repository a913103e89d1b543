"""`evaluate video` over small videos: real files, real networks, and towers that have learnt nothing."""

import json
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from encoders.checkpoints.files import save_weights
from encoders.models.embeddings.video import VideoSpace
from tests.conftest import Run, loaded
from tests.encoders.media_video.clips import clip, plain, texture

RATE = 22_050
LONG_S, SHORT_S = 9, 5


def film(path: Path, seed: int, beat_s: float, seconds: float) -> None:
    """A video that is cut on every fourth of its beats, each of which is a burst of noise."""
    rng = np.random.default_rng(seed)
    sound = rng.normal(0, 0.002, round(seconds * RATE)).astype(np.float32)
    for at_s in np.arange(0.2, seconds - 0.2, beat_s):
        first = round(at_s * RATE)
        sound[first : first + 1500] += rng.normal(0, 0.3, 1500) * np.exp(-np.arange(1500) / 300)
    pictures = [texture(seed + int((at / 25 - 0.2) / beat_s) // 4) for at in range(round(seconds * 25))]
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(path, "w") as output:
        stream = output.add_stream("libx264", rate=25, options={"preset": "ultrafast"})
        stream.height, stream.width, stream.pix_fmt = *pictures[0].shape[:2], "yuv420p"
        stream.codec_context.thread_count = 1
        audio = output.add_stream("aac", rate=RATE, layout="mono")
        for index, picture in enumerate(pictures):
            frame = av.VideoFrame.from_ndarray(picture, "rgb24").reformat(format="yuv420p", threads=1)
            frame.pts, frame.time_base = index, Fraction(1, 25)
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
        heard = av.AudioFrame.from_ndarray(_as_row(sound), "fltp", "mono")
        heard.sample_rate = RATE
        output.mux(audio.encode(heard))
        output.mux(audio.encode(None))


def _as_row(sound: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.ascontiguousarray(sound[np.newaxis])


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory, weights_dir: Path) -> Path:
    """Weights of all, and towers as they are made."""
    folder = tmp_path_factory.mktemp("cache")
    (folder / "weights").mkdir()
    for path in weights_dir.glob("*.safetensors"):
        if path.name != "video.safetensors":
            (folder / "weights" / path.name).symlink_to(path)
    torch.manual_seed(0)
    save_weights(folder / "weights" / "video.safetensors", VideoSpace().state_dict(), {})
    return folder


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("videos") / "films"
    film(folder / "first" / "long.mp4", 1, 0.5, LONG_S)
    film(folder / "first" / "short.mp4", 20, 0.4, SHORT_S)
    film(folder / "second.mp4", 40, 0.37, LONG_S)
    (folder / "mute.mp4").write_bytes(clip([texture(at // 25) for at in range(100)]))
    (folder / "silent.mp4").write_bytes(clip([plain(9, 9, 9)] * 100, sound=True))
    (folder / "broken.mp4").write_bytes(b"no video at all")
    return folder


def test_clips_of_videos_ask_for_their_own_sound(
    run: Run, videos: Path, cache: Path, music: Path, tmp_path: Path
) -> None:
    out = tmp_path / "figures.json"
    command = ("evaluate", "video", videos, "--clip-s", "4", "--pool", "3", "--pool", "2", "--out", out)
    done = run(*command, "--music", music, "--json", SOUNDALIKE_CACHE=str(cache), expect=3)
    found = loaded(done)
    assert json.loads(out.read_text(encoding="utf-8")) == found
    # Of nine seconds two clips of four, of five seconds one.
    assert (found["clips"], found["sources"], found["clip_s"]) == (5, 2, 4.0)
    assert sorted(found["left_out"]) == ["broken.mp4", "mute.mp4", "silent.mp4"]
    assert "audio" in found["left_out"]["mute.mp4"]
    assert [pooled["asked"] for pooled in found["pools"]] == [3, 2]
    assert found["tracks"] == 3 + len(list(music.rglob("*.wav")))
    for pooled in found["pools"]:
        assert pooled["smallest"] == pooled["largest"] == pooled["asked"]
        assert pooled["chance"]["1"] == pytest.approx(1 / pooled["asked"])
        assert pooled["rankings"]["all"]["recall"]["5"]["mean"] == 1
    assert found["moments"]["clips"] == 5
    assert loaded(run("status", "--json"))["tracks"] == 0


def test_the_catalogue_s_tracks_are_what_a_folder_s_are(run: Run, videos: Path, cache: Path, music: Path) -> None:
    here = {"SOUNDALIKE_CACHE": str(cache)}
    run("index", music, **here)
    command = ("evaluate", "video", videos, "--clip-s", "4", "--pool", "100", "--json")
    stored, heard = (loaded(run(*command, *more, expect=3, **here)) for more in ((), ("--music", music)))
    assert stored["tracks"] == heard["tracks"] == 3 + 12
    assert stored["warnings"] == heard["warnings"]
    for name, ranking in stored["pools"][0]["rankings"].items():  # vectors are stored in half precision
        assert ranking["median_rank"] == pytest.approx(heard["pools"][0]["rankings"][name]["median_rank"], abs=0.5)
    assert stored["moments"] == heard["moments"]
    assert loaded(run("status", "--json"))["tracks"] == 12


def test_it_is_shown_as_tables(run: Run, videos: Path, cache: Path) -> None:
    done = run(
        "evaluate", "video", videos / "..", "--clip-s", "9", "--pool", "5", SOUNDALIKE_CACHE=str(cache), expect=1
    )
    assert "no music of another source" in done.stderr  # one folder is one source
    done = run("evaluate", "video", videos, "--clip-s", "9", "--pool", "5", SOUNDALIKE_CACHE=str(cache), expect=3)
    for part in (
        "3 clips of 9 s, of 2 sources, 3 tracks: own music in pools of 2 to 3",
        "all − loudness",
        "where 0 clips start in their own music",
        "left out: mute.mp4: ",
        "the catalogue holds no track in the space of music and video",
        "pools of 5 hold 2 to 3 tracks",
    ):
        assert part in done.stdout


def test_what_cannot_be_asked_is_named(run: Run, cache: Path, tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    done = run("evaluate", "video", empty, SOUNDALIKE_CACHE=str(cache), expect=1)
    assert f"{empty}: no video in it; accepted: .avi" in done.stderr
    (empty / "mute.mp4").write_bytes(clip([texture(at // 25) for at in range(50)]))
    done = run("evaluate", "video", empty, SOUNDALIKE_CACHE=str(cache), expect=1)
    assert "no video with sound can be used: mute.mp4: " in done.stderr
    assert "no such folder" in run("evaluate", "video", empty, "--music", tmp_path / "nowhere", expect=1).stderr
    for wrong in (("--pool", "1"), ("--clip-s", "0")):
        assert "Invalid value" in run("evaluate", "video", empty, *wrong, expect=2).stderr
