"""What it costs to answer a video, and to watch many, beside decoding their pictures alone.

    python -m benchmarks.video.cost CLIP [--clips FOLDER] [--times 3]

The catalogue is that of SOUNDALIKE_HOME. CLIP is sent to `POST /v1/query/video` of a server in this process, whose
networks are warm: seconds, and the largest memory (resident set) of this process and its children together while it
answers, the client's own copy of the file among it. With FOLDER its videos are watched, one after the other: how many
times faster than they play. The baseline is PyAV, which decodes every frame of the same file and does nothing with
them, on as many threads as it likes.
"""

import argparse
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

import av
import psutil

from api.http.app import create_app
from api.matching import watch
from api.settings import read_settings
from api.wiring import Soundalike, open_soundalike
from benchmarks.machine import machine
from encoders.training.videos.watched import video_files

_LOOK_S = 0.25  # to look costs time as well


def decoded_s(path: Path) -> tuple[float, float]:
    """Seconds that decoding alone takes, and how long the video plays."""
    started, last_s = time.perf_counter(), 0.0
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        stream.thread_type = "AUTO"
        for frame in container.decode(stream):
            last_s = frame.time if frame.time is not None else last_s
    return time.perf_counter() - started, last_s


def with_memory(work: Callable[[], None]) -> tuple[float, float]:
    """Seconds that something takes, and the largest MiB of this process and its children together meanwhile."""
    process, largest, done = psutil.Process(), 0, threading.Event()

    def look() -> None:
        nonlocal largest
        while not done.wait(_LOOK_S):
            together = 0
            for one in (process, *process.children(recursive=True)):
                try:
                    together += one.memory_info().rss if "postgres" not in one.name() else 0
                except psutil.Error:  # it has ended meanwhile
                    continue
            largest = max(largest, together)

    looking = threading.Thread(target=look)
    looking.start()
    started = time.perf_counter()
    try:
        work()
    finally:
        took_s = time.perf_counter() - started
        done.set()
        looking.join()
    return took_s, largest / 2**20


def answer(here: Soundalike, clip: Path, times: int) -> None:
    """Send the clip as a backend would, once to warm up."""
    with create_app(here).test_client() as client:

        def ask() -> None:
            answered = client.post("/v1/query/video", data={"file": (clip.open("rb"), clip.name), "body": "{}"})
            assert answered.status_code == 200, answered.text

        ask()
        for _ in range(times):
            alone_s, plays_s = decoded_s(clip)
            took_s, mib = with_memory(ask)
            print(
                f"{clip.name}: {plays_s:.0f} s, {clip.stat().st_size / 2**20:.1f} MiB answered in {took_s:.2f} s, "
                f"{took_s / alone_s:.2f} of decoding alone ({alone_s:.2f} s); {mib:.0f} MiB",
                flush=True,
            )


def watch_all(here: Soundalike, folder: Path) -> None:
    """Watch every video of a folder."""
    files = video_files(folder)
    took_s = plays_s = alone_s = 0.0
    for path in files:
        one_s, of_s = decoded_s(path)
        started = time.perf_counter()
        watch(here, path)
        took_s, plays_s, alone_s = took_s + time.perf_counter() - started, plays_s + of_s, alone_s + one_s
    print(
        f"{len(files)} videos of {plays_s / 60:.0f} minutes watched at {plays_s / took_s:.1f} times real time, "
        f"{took_s / alone_s:.1f} times as long as decoding alone"
    )


def main() -> None:
    """Print what it costs."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("clip", type=Path)
    parser.add_argument("--clips", type=Path)
    parser.add_argument("--times", type=int, default=3)
    given = parser.parse_args()
    print(machine())
    with open_soundalike(read_settings(os.environ)) as here:
        answer(here, given.clip, given.times)
        if given.clips is not None:
            watch_all(here, given.clips)


if __name__ == "__main__":
    main()
