"""Encoding speed against a plain loop over the same network, and against decoding, in turn in the same run.

    python -m benchmarks.encoders.throughput [--space soundalike ...] [--pack NAME] [--rounds 3]

The plain loop is what one writes first: one float32 window after the other, torch's own threads, inference mode. Each
measurement is a process of its own, since how memory is kept is a setting of the process. Windows are of real music;
speed is in windows a second, and in three-minute tracks a second: windows * window_s / 180. Decoding is of the
pack's first eight files at the encoder's rate, as before an ingest.

Beside each speed: the smallest cosine between the embeddings of the plain loop and of every other path (batches of 1, 3
and 32, and the order of windows reversed).
"""

import argparse
import multiprocessing
import statistics
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from contextlib import nullcontext
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray

from api.settings import Settings, read_settings
from benchmarks.encoders.cosines import smallest_cosine
from benchmarks.encoders.ingest import TRACK_S, decode_alone
from benchmarks.machine import machine
from encoders.encoder import Encoder
from encoders.loading import load_encoder, load_network
from encoders.media.decode import decode
from encoders.models.embeddings import tagging
from encoders.registry import encoder_spec
from indexer.packs.fetch import default_pack, fetch_pack
from indexer.scan import ScannedFile, scan

T = TypeVar("T")

WINDOWS = 192
DECODED_FILES = 8
SPACES = ("soundalike", "timbre", "tagging", "tagging-student", "spectnt", "musicnn")
PATHS: tuple[tuple[str, Callable[[Encoder, NDArray[np.float32]], NDArray[np.float32]]], ...] = (
    ("default", lambda encoder, windows: encoder.encode(windows).embeddings),
    ("batch 1", lambda encoder, windows: encoder.encode(windows, batch_size=1).embeddings),
    ("batch 3", lambda encoder, windows: encoder.encode(windows, batch_size=3).embeddings),
    ("batch 32", lambda encoder, windows: encoder.encode(windows, batch_size=32).embeddings),
    ("reversed", lambda encoder, windows: encoder.encode(windows[::-1].copy()).embeddings[::-1]),
)


def windows_of(files: list[ScannedFile], name: str, settings: Settings) -> NDArray[np.float32]:
    """The first windows of the files, as the encoder cuts them: float32 [at most 192, window_length]."""
    encoder = load_encoder(name, weights_dir=settings.weights_dir, device="cpu")
    found: list[NDArray[np.float32]] = []
    for file in files:
        audio = decode(file.path, sample_rates=[encoder.spec.sample_rate], limits=settings.media_limits)
        found.extend(encoder.segment(audio.waveforms[encoder.spec.sample_rate]).windows)
        if len(found) >= WINDOWS:
            break
    return np.stack(found[:WINDOWS])


def plain_loop(name: str, windows: NDArray[np.float32], weights_dir: Path) -> tuple[float, NDArray[np.float32]]:
    """Windows a second of a plain loop, and its embeddings; float32 throughout."""
    tagging.half_precision = lambda device: nullcontext()  # type: ignore[assignment, return-value]
    network, _ = load_network(encoder_spec(name), weights_dir)
    network.eval()
    with torch.inference_mode():
        network(torch.from_numpy(windows[:1].copy()))
        start = time.perf_counter()
        embeddings = [network(torch.from_numpy(window[None].copy()))[0].numpy() for window in windows]
        return len(windows) / (time.perf_counter() - start), np.concatenate(embeddings)


def ours(name: str, windows: NDArray[np.float32], weights_dir: Path) -> tuple[float, dict[str, NDArray[np.float32]]]:
    """Windows a second of the encoder, and its embeddings by every path."""
    encoder = load_encoder(name, weights_dir=weights_dir, device="cpu")
    encoder.encode(windows[:64])
    start = time.perf_counter()
    encoder.encode(windows)
    speed = len(windows) / (time.perf_counter() - start)
    return speed, {path: encode(encoder, windows) for path, encode in PATHS}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--space", dest="spaces", action="append")
    parser.add_argument("--pack", default=default_pack())
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    settings = read_settings()
    files = scan(fetch_pack(arguments.pack, settings.packs_dir).music, on_error=lambda uri, reason: print(uri, reason))

    print(machine())
    print(f"{WINDOWS} windows of {arguments.pack}, medians of {arguments.rounds} rounds")
    print("| space | plain loop, windows/s | ours, windows/s | ratio | tracks/s | decode, tracks/s | smallest cosine |")
    print("|---|---|---|---|---|---|---|")
    for name in arguments.spaces or SPACES:
        windows = windows_of(files, name, settings)
        plain, fast, decoding, cosines = [], [], [], []
        for _ in range(arguments.rounds):
            speed, reference = _alone(plain_loop, name, windows, settings.weights_dir)
            plain.append(speed)
            speed, paths = _alone(ours, name, windows, settings.weights_dir)
            fast.append(speed)
            seconds, audio_s = decode_alone(files[:DECODED_FILES], encoder_spec(name), settings)
            decoding.append(audio_s / TRACK_S / seconds)
            cosines += [smallest_cosine(reference, embeddings) for embeddings in paths.values()]
        ratio = statistics.median(ours / loop for ours, loop in zip(fast, plain, strict=True))
        tracks = statistics.median(fast) * encoder_spec(name).window_s / TRACK_S
        print(
            f"| `{name}` | {statistics.median(plain):.1f} | {statistics.median(fast):.1f} | {ratio:.2f} | {tracks:.2f} "
            f"| {statistics.median(decoding):.2f} | {min(cosines):.6f} |",
            flush=True,
        )


def _alone(function: Callable[..., T], *arguments: object) -> T:
    """Call in a fresh process."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        return pool.submit(function, *arguments).result()


if __name__ == "__main__":
    main()
