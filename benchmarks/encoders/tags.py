"""What a student tags, against its teachers, on music that was kept out of its training.

    python -m benchmarks.encoders.tags --corpus DIR [--space tagging ...] [--hold-out NAME ...] [--tracks 10]

DIR is a corpus from `soundalike train corpus`. The teachers' scores become pseudo-labels by the thresholds of the
training (encoders/training/noisy_student.py), set on the training groups alone. Mean ROC-AUC over the tags that at
least ten windows (or tracks) have and ten have not: of ten-second windows, and of tracks, whose scores are the means of
their windows. Calibration: mean score beside the share of windows that have the tag, over all tags.

Then a few held-out tracks, drawn by a fixed seed, with their top tags by the first space.
"""

import argparse
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from api.settings import read_settings
from benchmarks.encoders.spaces import PACKS
from benchmarks.machine import machine
from encoders.loading import load_encoder, load_network
from encoders.models.embeddings import ear
from encoders.registry import encoder_spec
from encoders.tag_vocabulary import TAGS
from encoders.training.features import load_features
from encoders.training.joining import fit_tags, kinds_of, with_musicnn
from encoders.training.noisy_student import tag_logits, thresholds
from encoders.training.pseudo_labels import TEACHERS, PseudoLabels, label
from encoders.training.split import Split, parted_labels, split
from encoders.training.validation import roc_auc

SPACES = ("ear", "tagging", "tagging-student", "spectnt")
TOP = 6


def by_track(labels: PseudoLabels, scores: NDArray[np.float32]) -> NDArray[np.float32]:
    """Mean scores [tracks, tags] of windows [n, tags]."""
    return np.stack([scores[labels.tracks == track].mean(axis=0) for track in np.unique(labels.tracks)])


def of_space(name: str, corpus: Split, unseen: PseudoLabels) -> NDArray[np.float32]:
    """Scores [n, tags] of the judged windows by a space as it is shipped."""
    spec = encoder_spec(name)
    network, _ = load_network(spec, read_settings().weights_dir)
    features = load_features(corpus.directory, corpus.all, network)  # type: ignore[arg-type]
    judged = features.part(len(corpus.training), len(features))
    frames = 1 + round(spec.window_s * features.per_second)
    return tag_logits(network, judged, unseen, window_frames=frames).sigmoid().numpy()


def of_ear(corpus: Split, seen: PseudoLabels, unseen: PseudoLabels) -> NDArray[np.float32]:
    """The same by `ear`, whose tags are fitted anew: the shipped ones were fitted to all music."""
    network = with_musicnn(read_settings().weights_dir)
    fit_tags(network.tags, kinds_of(network, corpus.directory, corpus.training, seen), seen)
    with torch.inference_mode():
        return network.tags(kinds_of(network, corpus.directory, corpus.judged, unseen)).sigmoid().numpy()


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--corpus", required=True, type=Path)
    parser.add_argument("--space", dest="spaces", action="append")
    parser.add_argument("--hold-out", action="append")
    parser.add_argument("--tracks", type=int, default=10)
    arguments = parser.parse_args()
    weights_dir = read_settings().weights_dir
    corpus = split(arguments.corpus, arguments.hold_out or PACKS)
    msd, mtt = (load_encoder(teacher, weights_dir=weights_dir) for teacher in TEACHERS)
    everything = label(corpus.directory, corpus.all, msd, mtt)
    seen, unseen = parted_labels(everything, corpus)
    limits = thresholds(seen.scores)
    given, given_tracks = unseen.scores >= limits, by_track(unseen, unseen.scores) >= limits

    print(machine())
    print(f"{len(corpus.judged)} tracks, {len(given)} windows of {', '.join(corpus.held_out)}")
    print("| space | ROC-AUC, windows | tags | ROC-AUC, tracks | tags | mean score | share |")
    print("|---|---|---|---|---|---|---|")
    shown: NDArray[np.float32] | None = None
    for name in arguments.spaces or SPACES:
        scores = of_ear(corpus, seen, unseen) if name == ear.SPEC.name else of_space(name, corpus, unseen)
        windows, tracks = roc_auc(scores, given), roc_auc(by_track(unseen, scores), given_tracks)
        cells = [f"{np.nanmean(areas):.3f} | {np.isfinite(areas).sum()}" for areas in (windows, tracks)]
        print(f"| `{name}` | {' | '.join(cells)} | {scores.mean():.3f} | {given.mean():.3f} |", flush=True)
        shown = by_track(unseen, scores) if shown is None else shown
    assert shown is not None
    for row in sorted(np.random.default_rng(0).choice(len(shown), arguments.tracks, replace=False)):
        best = np.argsort(-shown[row])[:TOP]
        print(f"- {corpus.judged[row].key}: " + ", ".join(f"{TAGS[tag]} {shown[row, tag]:.2f}" for tag in best))


if __name__ == "__main__":
    main()
