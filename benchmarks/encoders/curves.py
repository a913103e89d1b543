"""Draw the losses of trainings.

    python -m benchmarks.encoders.curves OUT.png NAME=DIR [NAME=DIR ...]

DIR holds the `losses.jsonl` that a training leaves. The line is a running mean over 25 steps; the losses of different
models are not of one kind, so each has its own panel.
"""

import argparse
import json
from pathlib import Path

import matplotlib as mpl
import numpy as np

mpl.use("agg")
from matplotlib import pyplot as plt

SMOOTHING = 25


def main() -> None:
    """Read and draw."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("trainings", nargs="+", metavar="NAME=DIR")
    arguments = parser.parse_args()
    figure, panels = plt.subplots(1, len(arguments.trainings), figsize=(3.2 * len(arguments.trainings), 2.6))
    for panel, (name, _, directory) in zip(
        np.atleast_1d(panels), (pair.partition("=") for pair in arguments.trainings), strict=True
    ):
        lines = Path(directory, "losses.jsonl").read_text(encoding="utf-8").splitlines()
        losses = np.array([json.loads(line)["loss"] for line in lines])
        panel.plot(losses, color="0.85", linewidth=0.6)
        width = min(SMOOTHING, len(losses))
        panel.plot(np.arange(width - 1, len(losses)), np.convolve(losses, np.ones(width) / width, "valid"), color="C0")
        # The first steps fall so far that they would hide all the rest.
        panel.set(title=name, xlabel="step", ylabel="loss", ylim=np.quantile(losses, [0.002, 0.97]))
        panel.grid(alpha=0.3)
    figure.tight_layout()
    figure.savefig(arguments.out, dpi=110)


if __name__ == "__main__":
    main()
