"""How well tracks fit a clip: near in the space of music and video, said to go with what is seen, in step with it.

The three parts are joined by a logistic regression whose weights were chosen on validation pairs
(`encoders/weights/video.md`). Only `words` depends on which tracks are scored together: tags count by how they differ.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from retrieval.catalog.heard.moments import moments_of
from retrieval.search.video import sync as syncing
from retrieval.search.video.placing import Placement, place

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from retrieval.catalog.heard.moments import TrackMoments
    from retrieval.catalog.reading import Catalog
    from retrieval.search.video.clip import Clip

CANDIDATES = 500
"""Tracks nearest in the space of music and video, of which more is asked."""
_LEARNED, _WORDS, _SYNC, _BIAS = 4.7, 0.9, 3.4, -1.0
_BY_CHANCE, _SURE = (
    1.5,
    4.5,
)  # spreads: one unrelated track in 25 reaches the first; beyond the second more says no more
_TYPICAL = 0.05  # of a tag's score, beside which its spread over tracks counts


@dataclass(frozen=True)
class Parts:
    """What speaks for a track, each 0 where it says nothing.

    Attributes
    ----------
    learned : cosine of clip and track in the space of music and video
    words : correlation of what the pictures suggest with the track's tags
    sync : by how many spreads of chance both move together, at the start where they do most, beyond chance
    """

    learned: float
    words: float
    sync: float

    @property
    def score(self) -> float:
        """0 … 1."""
        in_step = min(max(self.sync - _BY_CHANCE, 0.0), _SURE - _BY_CHANCE)
        weighed = _LEARNED * self.learned + _WORDS * self.words + _SYNC * in_step
        return float(1 / (1 + np.exp(-(weighed + _BIAS))))


class Fitting:
    """One clip, laid upon one track after the other: what rescores a search, and then says where each track starts."""

    candidates = CANDIDATES

    def __init__(self, clip: Clip, catalog: Catalog, space: str) -> None:
        self.clip = clip
        self._catalog, self._space = catalog, space
        self._seen = syncing.seen(clip) if clip.duration_s else None
        self.parts: dict[int, Parts] = {}

    def scores(self, track_ids: NDArray[np.int64], cosines: NDArray[np.float32]) -> NDArray[np.float32]:
        """Scores float32 [n] in [0, 1] of tracks, int64 [n], and their cosines with the clip, float32 [n]."""
        missing = [track_id for track_id in track_ids.tolist() if track_id not in self.parts]
        learned = dict(zip(track_ids.tolist(), cosines.tolist(), strict=True))
        moments = moments_of(self._catalog.engine, missing)
        words = said_of(self.clip.tags, self._catalog.tags_of(missing)) if self.clip.tags else {}
        for track_id in missing:
            sync = syncing.best_beyond_chance(self._together(moments.get(track_id)))
            self.parts[track_id] = Parts(learned[track_id], words.get(track_id, 0.0), sync)
        return np.array([self.parts[track_id].score for track_id in track_ids.tolist()], np.float32)

    def placements(self, track_ids: list[int]) -> dict[int, Placement]:
        """Where in each track the clip starts; tracks that are gone are absent."""
        moments = moments_of(self._catalog.engine, track_ids)
        segments = self._catalog.segments_of(track_ids, self._space, self.clip.encoder_version)
        return {
            track_id: place(self.clip, track, segments.get(track_id), self._together(track))
            for track_id, track in moments.items()
        }

    def _together(self, track: TrackMoments | None) -> NDArray[np.float32] | None:
        heard = None if track is None or self._seen is None else syncing.heard(track)
        return None if heard is None or self._seen is None else syncing.sync(self._seen, heard).joined


def said_of(suggested: Mapping[str, float], tags_of: Mapping[int, Mapping[str, float]]) -> dict[int, float]:
    """How what is suggested, any number by tag, goes with the tags of tracks, scores by tag: −1 … 1 by track.

    The cosine of what is suggested with how a track's tags differ from those of all of these, each in its spread.
    Tracks without tags are absent.
    """
    names = list(suggested)
    wanted = np.array([suggested[name] for name in names])
    ids = [track_id for track_id, tags in tags_of.items() if tags]
    if not ids or not np.any(wanted):
        return {}
    scores = np.array([[tags_of[track_id].get(name, 0.0) for name in names] for track_id in ids])
    differs = (scores - scores.mean(axis=0)) / (scores.std(axis=0) + _TYPICAL)
    norms = np.linalg.norm(differs, axis=1) * np.linalg.norm(wanted)
    cosines = np.divide(differs @ wanted, norms, out=np.zeros(len(ids)), where=norms > 1e-9)
    return dict(zip(ids, cosines.tolist(), strict=True))
