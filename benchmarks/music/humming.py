"""Hums of songs, asked of the melodies that the network hears in the songs' recordings.

    python -m benchmarks.music.humming --songs FOLDER --first 651 --last 700

Each song is hummed once: some seconds of its true melody, up to an octave higher or lower, at 0.7 to 1.4 times its
tempo, every note up to 50 cents off, one in twenty another note, by a throat, in a room and through a telephone that
the network did not learn from. The catalogue holds the melodies heard in all songs of the folder.
"""

from __future__ import annotations

import argparse
import itertools
import json
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from encoders.listeners import load_melody_tracker
from encoders.media.decode import decode
from encoders.models.music.spectra import Listener
from encoders.training.songs.humming import UNTAUGHT, hummed
from encoders.training.songs.playing.recording import AUDIO, TRUTH
from retrieval.errors import QueryError
from retrieval.search.humming.finding import find, hum_of
from retrieval.search.humming.melodies import Melodies, StoredMelody

if TYPE_CHECKING:
    from numpy.typing import NDArray

_FROM_S, _TO_S = 6.0, 15.0
_SHARE_SUNG = 0.65
_TRIES = 200
_NOWHERE = 1_000_000


def notes_of(pitches: NDArray[np.float64], step_s: float) -> NDArray[np.float64]:
    """Notes of a true melody, float64 [notes, 4]: a new one where the pitch leaps, or sets in."""
    rounded = np.where(np.isnan(pitches), -1, np.rint(pitches))
    edges = np.concatenate([[0], np.flatnonzero(np.diff(rounded)) + 1, [len(rounded)]])
    spans = [(a, b) for a, b in itertools.pairwise(edges) if rounded[a] >= 0 and (b - a) * step_s > 0.08]
    return np.array([(a * step_s, b * step_s, rounded[a], 90.0) for a, b in spans], np.float64).reshape(-1, 4)


def phrase_of(truth: Path, rng: np.random.Generator) -> NDArray[np.float64] | None:
    """Notes that somebody remembers of a song, more or less; none where little of it has a melody."""
    told = json.loads(truth.read_text(encoding="utf-8"))["melody"]
    pitches = np.array([np.nan if pitch is None else pitch for pitch in told["midi"]], np.float64)
    length = round(rng.uniform(_FROM_S, _TO_S) / told["step_s"])
    for _ in range(_TRIES):
        start = int(rng.integers(0, max(1, len(pitches) - length)))
        if (~np.isnan(pitches[start : start + length])).mean() >= _SHARE_SUNG:
            break
    else:
        return None
    notes = notes_of(pitches[start : start + length], told["step_s"])
    notes[:, :2] = (notes[:, :2] - notes[0, 0]) / rng.uniform(0.7, 1.4) + 0.2
    notes[:, :2] += rng.normal(0, 0.02, (len(notes), 1))
    wrong = rng.random(len(notes)) < 0.05
    notes[:, 2] += rng.integers(-12, 13) + rng.uniform(-0.5, 0.5, len(notes)) + wrong * rng.integers(-4, 5, len(notes))
    return notes


def main() -> None:
    """Print ranks of the right songs, and what chance would reach."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--songs", type=Path, required=True)
    parser.add_argument("--first", type=int, default=651)
    parser.add_argument("--last", type=int, default=700)
    parser.add_argument("--weights", type=Path, default=Path("/nonexistent"))
    given = parser.parse_args()
    tracker = load_melody_tracker(given.weights, Listener())
    folders = [given.songs / f"{number:03d}" for number in range(given.first, given.last + 1)]
    folders = [folder for folder in folders if (folder / TRUTH).is_file()]
    stored = {}
    for folder in folders:
        heard = tracker.track(decode(folder / AUDIO, sample_rates=[tracker.sample_rate]).waveforms[tracker.sample_rate])
        stored[int(folder.name)] = StoredMelody.of(heard.pitches, heard.unvoiced, heard.step_s)
    melodies, ranks, refused = Melodies.of(stored), [], 0
    for folder in folders:
        rng = np.random.default_rng([11, int(folder.name)])
        notes = phrase_of(folder / TRUTH, rng)
        if notes is None:
            continue
        heard = tracker.track(hummed(notes, UNTAUGHT, rng)[0])
        try:
            found = [one.track_id for one in find(hum_of(heard.pitches, heard.step_s), melodies, limit=len(stored))]
        except QueryError:
            refused += 1
            found = []
        ranks.append(found.index(int(folder.name)) + 1 if int(folder.name) in found else _NOWHERE)
    placed, n = np.array(ranks), len(stored)
    chance = float((1 / np.arange(1, n + 1)).mean())
    print(f"{len(ranks)} hums among {n} songs, {refused} refused")
    print(f"top 1 {np.mean(placed == 1):.3f} (chance {1 / n:.3f}), top 10 {np.mean(placed <= 10):.3f} ({10 / n:.3f})")
    print(f"MRR {np.mean(1 / placed):.3f} ({chance:.3f})")


if __name__ == "__main__":
    main()
