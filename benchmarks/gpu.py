"""On a GPU: do encoders give the vectors that they give on a CPU, how fast, and trainings that a CPU is too slow for.

    benchmarks/gpu.sh run OUT [--device cuda] [--steps 4000] [--hold-out GROUP ...] [--train NAME ...]

The same call runs the tests marked gpu and `benchmarks.search.gpu_search` first. This imports nothing but `encoders`
and what it needs, so that it runs where FAISS is not. Windows are of the corpus. Weights and checkpoints go to OUT; the
same call goes on with trainings that were cut short, and with ``--steps 0`` there are none.
"""

import argparse
import time
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.encoders.cosines import smallest_cosine
from benchmarks.machine import machine
from encoders.loading import SHIPPED_WEIGHTS, load_encoder, torch_device
from encoders.registry import encoder_spec
from encoders.training.contrastive import ContrastiveSettings
from encoders.training.corpus import decoded, read_corpus
from encoders.training.noisy_student import StudentSettings
from encoders.training.recipes import train_samplecnn, train_tagger
from encoders.training.split import Split, TrainingReport, split

WINDOWS = 256
HELD_OUT = ("naev-data", "nexuiz-music", "supertux-data")
TRAININGS = ("tagging", "spectnt", "tagging-student", "clmr-samplecnn")


def windows_of(corpus: Path, name: str) -> NDArray[np.float32]:
    """Up to 256 windows of its first tracks: float32 [n, window_length]."""
    spec = encoder_spec(name)
    found: list[NDArray[np.float32]] = []
    for track in read_corpus(corpus):
        waveform = decoded(corpus, track, sample_rate=spec.sample_rate)
        full = len(waveform) // spec.window_length * spec.window_length
        found.extend(waveform[:full].reshape(-1, spec.window_length))
        if len(found) >= WINDOWS:
            break
    return np.stack(found[:WINDOWS])


def compare(corpus: Path, name: str, weights_dir: Path, device: str) -> str:
    """One line: speed on both, and the smallest cosine between their embeddings."""
    windows = windows_of(corpus, name)
    speeds, embeddings = [], []
    for where in ("cpu", device):
        encoder = load_encoder(name, weights_dir=weights_dir, device=where)
        encoder.encode(windows[:64])
        start = time.perf_counter()
        embeddings.append(encoder.encode(windows).embeddings)
        speeds.append(len(windows) / (time.perf_counter() - start))
    return f"| `{name}` | {speeds[0]:.0f} | {speeds[1]:.0f} | {smallest_cosine(*embeddings):.6f} |"


def train(name: str, corpus: Split, arguments: argparse.Namespace) -> TrainingReport:
    """Train one model up to the steps asked for."""
    device = torch_device(arguments.device)
    out: Path = arguments.out / name
    if name == "clmr-samplecnn":
        settings = ContrastiveSettings(steps=arguments.steps, batch_size=256, max_distance_s=30.0)
        return train_samplecnn(corpus, out, settings, device=device, on_step=lambda step, loss: None)
    student = StudentSettings(steps=arguments.steps, batch_size=64, learning_rate=1e-3, weight_decay=0.01)
    return train_tagger(
        name,
        corpus,
        out,
        student,
        rounds=2,
        weights_dir=arguments.weights,
        device=device,
        on_step=lambda step, loss: None,
    )


def main() -> None:
    """Compare, then train."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--corpus", type=Path, required=True)
    parser.add_argument("--weights", type=Path, required=True, help="the teachers' weights")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--steps", type=int, default=4_000)
    parser.add_argument("--hold-out", action="append")
    parser.add_argument("--train", action="append", choices=TRAININGS)
    arguments = parser.parse_args()
    print(machine(), torch.cuda.get_device_name() if torch.cuda.is_available() else "no GPU")
    print("| encoder | CPU, windows/s | device, windows/s | smallest cosine |", "|---|---|---|---|", sep="\n")
    for path in sorted(SHIPPED_WEIGHTS.glob("*.safetensors")):
        print(compare(arguments.corpus, path.stem, arguments.weights, arguments.device), flush=True)
    if not arguments.steps:
        return
    corpus = split(arguments.corpus, arguments.hold_out or HELD_OUT)
    for name in arguments.train or TRAININGS:
        start = time.perf_counter()
        print(name, train(name, corpus, arguments), f"{time.perf_counter() - start:.0f} s", flush=True)


if __name__ == "__main__":
    main()
