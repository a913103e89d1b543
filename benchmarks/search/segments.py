"""Segment embeddings of a corpus with overlapping windows, for `benchmarks.search.engines --data segments|strangers`.

    python -m benchmarks.search.segments --corpus DIR --out FILE.npy [--space soundalike] [--hop-s 1.0]

DIR is a corpus from `soundalike train corpus`. FILE gets float16 [n, dim] of unit length, in order of track.
"""

import argparse
from pathlib import Path

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from rich.progress import track as progress

from api.settings import read_settings
from encoders.loading import load_encoder
from encoders.training.corpus import decoded, read_corpus


def main() -> None:
    """Encode and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--corpus", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--space", default="soundalike")
    parser.add_argument("--hop-s", type=float, default=1.0)
    arguments = parser.parse_args()
    encoder = load_encoder(arguments.space, weights_dir=read_settings().weights_dir)
    rate, length = encoder.spec.sample_rate, encoder.spec.window_length
    found = []
    for track in progress(read_corpus(arguments.corpus)):
        waveform = decoded(arguments.corpus, track, sample_rate=rate)
        if len(waveform) >= length:
            windows = sliding_window_view(waveform, length)[:: round(arguments.hop_s * rate)]
            found.append(encoder.encode(windows).embeddings)
    embeddings = np.concatenate(found)
    norms = np.linalg.norm(embeddings, axis=1, keepdims=True)
    np.save(arguments.out, (embeddings / np.where(norms > 0, norms, 1))[norms[:, 0] > 0].astype(np.float16))
    print(f"{arguments.out}: {len(embeddings)} segments of {len(found)} tracks")


if __name__ == "__main__":
    main()
