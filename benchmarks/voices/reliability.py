"""How often the likeliest language is right, by how likely it is said to be: a plot.

    python -m benchmarks.voices.reliability OUT.png --voices FOLDER --music CORPUS --weights DIR [--part test]

As `benchmarks.voices.judge`, for speech at 0 dB. A language is named to the right of the line.
"""

import argparse
from pathlib import Path

import matplotlib as mpl
import numpy as np
import torch

mpl.use("agg")
import itertools

from matplotlib import pyplot as plt

from benchmarks.voices.tracks import single
from encoders.analysis.languages import SURE, LanguageIdentifier
from encoders.listeners import load_language_identifier, load_vocal_detector
from encoders.models.language.codes import normal_code
from encoders.models.language.text import TrackText, read_text
from encoders.training.voices.parts import Part, read_beds, read_voices

EDGES = np.array([0.0, 0.2, 0.4, 0.55, 0.7, 0.85, 0.95, 1.001])


def main() -> None:
    """Listen and draw."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--voices", type=Path, required=True)
    parser.add_argument("--music", type=Path, required=True)
    parser.add_argument("--weights", type=Path, required=True)
    parser.add_argument("--part", type=Part, choices=list(Part), default=Part.TEST)
    parser.add_argument("--each", type=int, default=2, help="tracks a speaker")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    voices, beds = (
        read_voices([arguments.voices / "spoken.tsv"], arguments.part),
        read_beds(arguments.music, arguments.part),
    )
    detector = load_vocal_detector(arguments.weights)
    identifier = LanguageIdentifier(load_language_identifier(arguments.weights).ear, sure=0.0)
    spans = [
        (span.confidence, span.language == normal_code(track.speaker[0]))
        for kind in ("recorded", "synthesised")
        for track in single(voices, beds, kind, each=arguments.each, snr_db=0.0)
        for span in identifier.identify(track.waveform, detector.detect(track.waveform), read_text(TrackText())).spans
    ]
    likely, right = np.array(spans, float).T
    figure, panel = plt.subplots(figsize=(4.2, 3.6))
    panel.plot([0, 1], [0, 1], color="0.8")
    panel.axvline(SURE, color="C1", linewidth=0.8)
    for low, high in itertools.pairwise(EDGES):
        some = (likely >= low) & (likely < high)
        if some.any():
            mean, share, n = likely[some].mean(), right[some].mean(), int(some.sum())
            error = np.sqrt(share * (1 - share) / n)
            panel.errorbar(mean, share, yerr=error, fmt="o", color="C0")
            panel.annotate(str(n), (mean, share), textcoords="offset points", xytext=(5, -10), fontsize=8)
            print(f"| {low:.2f}–{min(high, 1):.2f} | {n} | {mean:.3f} | {share:.3f} |")
    panel.set(xlabel="probability of the likeliest language", ylabel="share that is right", xlim=(0, 1), ylim=(0, 1.02))
    figure.tight_layout()
    figure.savefig(arguments.out, dpi=110)


if __name__ == "__main__":
    main()
