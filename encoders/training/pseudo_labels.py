"""What the teachers say of a corpus: MusiCNN's two models, merged into one tag list, on stretches of every track.

    <corpus>/labels/<teachers>/<track>.npz     offsets_s [n], scores [n, tags]; one file a track, so a stop costs one

A stretch is three teacher windows (9.02 s), which a student's ten seconds cover. A long track is heard in twelve
places: the rest would say much the same again, and the teachers cost more than all the rest of a training.
"""

from __future__ import annotations

import hashlib
import zipfile
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from encoders.media.segments import segment
from encoders.models.embeddings.musicnn import MSD_TAGS, MTT_TAGS, SAMPLE_RATE, WINDOW_LENGTH
from encoders.tag_vocabulary import MSD_NAMES, MTT_NAMES, TAGS
from encoders.training.corpus import decoded

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from encoders.encoder import Encoder
    from encoders.training.corpus import CorpusTrack

TEACHERS = ("musicnn", "musicnn-mtt")
WINDOWS_A_STRETCH = 3
_STRETCHES_A_TRACK = 12


@dataclass(frozen=True)
class PseudoLabels:
    """Stretches of tracks and what is in them.

    Attributes
    ----------
    tracks : int64 [n], rows of the tracks
    offsets_s : float64 [n], where each begins
    scores : float32 [n, tags] in [0, 1]
    """

    tracks: NDArray[np.int64]
    offsets_s: NDArray[np.float64]
    scores: NDArray[np.float32]

    def of_tracks(self, tracks: NDArray[np.int64]) -> PseudoLabels:
        """Only these tracks' stretches, numbered by their place in `tracks`."""
        place = np.full(1 + max(self.tracks.max(initial=-1), tracks.max(initial=-1)), -1)
        place[tracks] = np.arange(len(tracks))
        kept = place[self.tracks] >= 0
        return PseudoLabels(place[self.tracks][kept], self.offsets_s[kept], self.scores[kept])


def label(directory: Path, tracks: Sequence[CorpusTrack], msd: Encoder, mtt: Encoder) -> PseudoLabels:
    """Ask both teachers about every track, or read what they said before.

    Raises
    ------
    CorpusError
        If a prepared file is missing or damaged; it is named.
    """
    teachers = hashlib.sha256(f"{msd.version} {mtt.version}".encode()).hexdigest()[:12]
    kept = directory / "labels" / teachers
    kept.mkdir(parents=True, exist_ok=True)
    offsets, scores = [], []
    for track in tracks:
        path = kept / f"{track.source_sha256[:32]}.npz"
        heard = _read(path) or _write(path, *_listen(directory, track, msd, mtt))
        offsets.append(heard[0])
        scores.append(heard[1])
    owners = np.repeat(np.arange(len(tracks)), [len(part) for part in offsets])
    return PseudoLabels(owners, np.concatenate(offsets), np.concatenate(scores))


def merged(msd_scores: NDArray[np.float32], mtt_scores: NDArray[np.float32]) -> NDArray[np.float32]:
    """Scores of `TAGS` from both models' scores.

    The names of one thing within one model are synonyms that share its listeners between them, so the largest counts;
    where both models know a thing, their mean does.

    Parameters
    ----------
    msd_scores, mtt_scores : float32 [n, 50] in [0, 1], in the order of ``MSD_TAGS`` and ``MTT_TAGS``

    Returns
    -------
    float32 [n, len(TAGS)] in [0, 1]
    """
    sources = ((msd_scores, MSD_TAGS, MSD_NAMES), (mtt_scores, MTT_TAGS, MTT_NAMES))
    columns = []
    for tag in TAGS:
        by_model = [
            scores[:, [known.index(name) for name in names[tag]]].max(axis=1)
            for scores, known, names in sources
            if tag in names
        ]
        columns.append(np.mean(by_model, axis=0))
    return np.stack(columns, axis=1).astype(np.float32)


def stretch_starts(n_windows: int) -> NDArray[np.int64]:
    """First windows of the stretches of a track, spread evenly over it; no two share a window."""
    last = max(n_windows - WINDOWS_A_STRETCH, 0)
    number = min(_STRETCHES_A_TRACK, max(n_windows // WINDOWS_A_STRETCH, 1))
    return np.linspace(0, last, number).astype(np.int64)


def _listen(
    directory: Path, track: CorpusTrack, msd: Encoder, mtt: Encoder
) -> tuple[NDArray[np.float64], NDArray[np.float32]]:
    windows = segment(
        decoded(directory, track, sample_rate=SAMPLE_RATE), sample_rate=SAMPLE_RATE, window_length=WINDOW_LENGTH
    )
    starts = stretch_starts(len(windows.windows))
    rows = np.minimum(starts[:, None] + np.arange(WINDOWS_A_STRETCH), len(windows.windows) - 1)
    heard = windows.windows[rows.ravel()]
    scores = merged(msd.encode(heard).tag_scores, mtt.encode(heard).tag_scores)
    mean = scores.reshape(len(starts), WINDOWS_A_STRETCH, -1).mean(axis=1)
    return windows.starts_s[starts], mean.astype(np.float32)


def _read(path: Path) -> tuple[NDArray[np.float64], NDArray[np.float32]] | None:
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            return arrays["offsets_s"], arrays["scores"]
    except (FileNotFoundError, zipfile.BadZipFile, EOFError, ValueError, KeyError):
        return None


def _write(
    path: Path, offsets_s: NDArray[np.float64], scores: NDArray[np.float32]
) -> tuple[NDArray[np.float64], NDArray[np.float32]]:
    beside = path.with_suffix(".part")
    with beside.open("wb") as file:
        np.savez(file, offsets_s=offsets_s, scores=scores)
    beside.replace(path)
    return offsets_s, scores
