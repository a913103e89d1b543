"""A clip's way through a catalogue: that of any search, the nearest tracks scored anew, then laid under the clip."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from retrieval.search.laps import NOTHING, Laps
from retrieval.search.query import Seed
from retrieval.search.video.fitting import Fitting

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from retrieval.search.engine import Search
    from retrieval.search.query import Answer, Query
    from retrieval.search.video.clip import Clip
    from retrieval.search.video.fitting import Parts
    from retrieval.search.video.placing import Placement


@dataclass(frozen=True)
class Fit:
    """Why a track, which has these tags, fits a clip, and how it is laid under it: not at all where it has gone."""

    parts: Parts
    placement: Placement | None
    tags: Mapping[str, float]


@dataclass(frozen=True)
class VideoAnswer:
    """Tracks that fit a clip, best first, and of each how."""

    clip: Clip
    answer: Answer
    fits: Sequence[Fit]


def answer_clip(
    search: Search, clip: Clip, space: str, query: Query, *, spent_s: Mapping[str, float] = NOTHING
) -> VideoAnswer:
    """Find the music that fits a clip.

    Parameters
    ----------
    space : of music and video
    query : how to search; what it is like is the clip
    spent_s : what it took to see the clip, by part; the answer's timing counts it

    Raises
    ------
    IndexMissingError, IndexMismatchError, FilterError, QueryError, StaleCursorError
        As `Search.answer` does.
    """
    laps = Laps([spent_s])
    fitting = Fitting(clip, search.catalog, space)
    suggested = {tag: weight for tag, weight in clip.tags.items() if weight > 0}
    laps.finish("prepare")
    seed = Seed(vector=clip.vector, tags=suggested, encoder_version=clip.encoder_version, spent_s=laps.spent_s)
    answer = search.answer(replace(query, positive=(seed,), negative=(), space=space, rescoring=fitting))
    placing = Laps()
    ids = [result.track.id for result in answer.results]
    placements = fitting.placements(ids) if ids else {}
    tags = search.catalog.tags_of(ids) if ids else {}
    fits = [Fit(fitting.parts[one], placements.get(one), tags.get(one, {})) for one in ids]
    placing.finish("place")
    return VideoAnswer(clip, replace(answer, timing_ms=_summed(answer.timing_ms, placing.timing_ms())), fits)


def _summed(first: Mapping[str, float], second: Mapping[str, float]) -> dict[str, float]:
    """Two timings as one, the total behind the parts."""
    both = {name: value for name, value in (*first.items(), *second.items()) if name != "total"}
    return {**both, "total": round(first["total"] + second["total"], 3)}
