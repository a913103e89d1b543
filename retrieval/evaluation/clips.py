"""Clips ask for their own music, which lies among that of other sources: how high it ranks, and where it starts.

Each clip's pools hold the sound of its own video and that of others; what a way to rank sees of a track is the same for
all. Rankings are those of the search (`all`), its parts alone (`learned`, `words`, `sync`), and three that need nothing
learnt: how near the track's tempo is to that of what happens in the clip (`tempo`), whether its tags go with how the
clip looks and moves (`tags`), and whether it is as loud and busy as the clip is lively (`loudness`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from retrieval.evaluation.errors import EvaluationError
from retrieval.evaluation.measures import video as measures
from retrieval.evaluation.results.videos import Pooled, Ranking, Started, VideoEvaluation
from retrieval.search.video import sync as syncing
from retrieval.search.video.clip import RATE
from retrieval.search.video.fitting import Parts, said_of
from retrieval.search.video.placing import cuts_on_beats, place

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

    from retrieval.catalog.heard.moments import TrackMoments
    from retrieval.catalog.records import TrackSegments
    from retrieval.search.video.clip import Clip

    Numbers = NDArray[np.float64]

RECALL_AT = (1, 5, 10, 25)
OURS = ("all", "learned", "words", "sync")
BASELINES = ("tempo", "tags", "loudness")
DRAWS = 10
RANDOM_STARTS = 200
_CLOSE_S = 0.5
_CHOICE_S = 1.0
_MUCH = 2.0  # what lasts so many times as long is no equal


@dataclass(frozen=True, eq=False)
class Heard:
    """A track that is ranked; `source` is none where no clip can be of it.

    Attributes
    ----------
    vector : float32 [dim], L2 norm 1, in the space of music and video
    segments : there, likewise
    tags : scores in [0, 1]
    """

    name: str
    source: str | None
    vector: NDArray[np.float32]
    moments: TrackMoments
    segments: TrackSegments
    tags: Mapping[str, float]


@dataclass(frozen=True, eq=False)
class Asked:
    """A clip that asks.

    Attributes
    ----------
    clip : what is seen in it
    moods : tags that go with how it looks and moves, whatever it shows
    own : which of the tracks is the sound of its video
    start_s : where in its video it begins
    """

    clip: Clip
    moods: Mapping[str, float]
    own: int
    start_s: float


@dataclass(frozen=True)
class VideoOptions:
    """How clips ask."""

    pools: Sequence[int]
    clip_s: float
    seed: int = 0


def evaluate_clips(
    asked: Sequence[Asked],
    tracks: Sequence[Heard],
    options: VideoOptions,
    *,
    left_out: Mapping[str, str],
    warnings: Sequence[str] = (),
    on_done: Callable[[int, int], None] = lambda done, total: None,
) -> VideoEvaluation:
    """Ask with each clip, in each pool.

    Raises
    ------
    EvaluationError
        If there is no clip, or none that has any other source's music to stand among.
    """
    sources = [tracks[one.own].source for one in asked]
    if not asked or len({track.source if track.source else track.name for track in tracks}) < 2:
        reason = f"{len(asked)} clips of {len(set(sources))} sources, and no music of another source"
        raise EvaluationError(reason, "videos of two sources or more, or other music")
    names = {source: number for number, source in enumerate(dict.fromkeys(sources))}
    groups = np.array([names[source] for source in sources])
    bench, rng = _Bench(asked, tracks), np.random.default_rng(options.seed)
    recalls: dict[int, list[Numbers]] = {size: [] for size in options.pools}
    ranks: dict[int, list[Numbers]] = {size: [] for size in options.pools}
    sizes: dict[int, list[int]] = {size: [] for size in options.pools}
    for number, (one, source) in enumerate(zip(asked, sources, strict=True), start=1):
        others = np.array([index for index, track in enumerate(tracks) if track.source != source], np.int64)
        drawn = {size: measures.pools(one.own, others, size, DRAWS, rng) for size in options.pools}
        table = bench.table(number - 1, np.unique(np.concatenate([pool for of in drawn.values() for pool in of])))
        for size, pools in drawn.items():
            places = [[measures.place_of(scores, 0) for scores in table.of(pool)] for pool in pools]
            recalls[size].append(np.mean([[[at.recall(k) for k in RECALL_AT] for at in row] for row in places], axis=0))
            ranks[size].append(np.mean([[at.rank for at in row] for row in places], axis=0))
            sizes[size].append(len(pools[0]))
        on_done(number, len(asked))
    pooled = [
        _pooled(size, sizes[size], np.array(recalls[size]), np.array(ranks[size]), groups, options.seed)
        for size in options.pools
    ]
    return VideoEvaluation(
        asked[0].clip.encoder_version,
        *(len(asked), len(names), len(tracks), options.clip_s, options.seed),
        *(pooled, _started(bench, groups, options.seed), left_out, [*warnings, *_notes(pooled, tracks, len(names))]),
    )


def _notes(pooled: Sequence[Pooled], tracks: Sequence[Heard], sources: int) -> list[str]:
    """What makes figures say less than they seem to."""
    notes = [
        f"pools of {one.asked} hold {one.smallest}{f' to {one.largest}' if one.largest > one.smallest else ''} tracks: "
        "there are no more of other sources"
        for one in pooled
        if one.smallest < one.asked
    ]
    own_s, other_s = (
        float(np.median([track.moments.duration_s for track in some])) if some else 0.0
        for some in ([track for track in tracks if track.source], [track for track in tracks if not track.source])
    )
    if other_s > _MUCH * own_s:
        notes.append(
            f"other music lasts {other_s:.0f} s, the sound of videos {own_s:.0f} s (medians): what is longer has more "
            "parts to choose from, to which `all`, `learned` and `sync` may owe something"
        )
    if sources < 2:
        notes.append("all clips are of one source: no interval over sources")
    return notes


@dataclass(frozen=True, eq=False)
class _Table:
    """One clip and all tracks of its pools: what does not depend on who else is in a pool, by the track's number."""

    one: Asked
    tracks: Sequence[Heard]
    parts: Mapping[int, Parts]
    octaves: Mapping[int, float]
    lively: float
    loud: Numbers
    busy: Numbers

    def of(self, pool: NDArray[np.int64]) -> list[Numbers]:
        """Scores of a pool by each ranking, in the order of `OURS` and `BASELINES`: float64 [n] each."""
        tags = {index: self.tracks[index].tags for index in pool.tolist()}
        words, moods = said_of(self.one.clip.tags, tags), said_of(self.one.moods, tags)
        rows = [(self.parts[index], words.get(index, 0.0)) for index in pool.tolist()]
        together = (measures.standardised(of, of) for of in (self.loud[pool], self.busy[pool]))
        liveliness = np.mean([*together], axis=0)
        columns = (
            [Parts(part.learned, said, part.sync).score for part, said in rows],
            [part.learned for part, _ in rows],
            [said for _, said in rows],
            [part.sync for part, _ in rows],
            [-self.octaves[index] for index in pool.tolist()],
            [moods.get(index, 0.0) for index in pool.tolist()],
            -np.abs(measures.standardised(liveliness, liveliness) - self.lively),
        )
        return [np.array(column, np.float64) for column in columns]


class _Bench:
    """All clips and tracks, and what of them is worked out once."""

    def __init__(self, asked: Sequence[Asked], tracks: Sequence[Heard]) -> None:
        self.asked, self.tracks = asked, tracks
        self._heard = [syncing.heard(track.moments) for track in tracks]
        self._seen = [syncing.seen(one.clip) for one in asked]
        moving = np.array([one.clip.energy.mean() for one in asked], np.float64)
        self._lively = measures.standardised(moving, moving)
        self._loud, self._busy = (
            np.array([_mean_of(track.moments, name) for track in tracks]) for name in ("loudness", "onsets")
        )

    def together(self, number: int, track: int) -> NDArray[np.float32] | None:
        """How a clip and a track move together, for each start: float32 [starts]."""
        heard = self._heard[track]
        return None if heard is None else syncing.sync(self._seen[number], heard).joined

    def table(self, number: int, indices: NDArray[np.int64]) -> _Table:
        """One clip, by its number, and these tracks."""
        one, parts = self.asked[number], {}
        for index in indices.tolist():
            track, together = self.tracks[index], self.together(number, index)
            cosine = float(track.vector @ one.clip.vector)
            parts[index] = Parts(cosine, 0.0, syncing.best_beyond_chance(together))
        clip = one.clip
        happening = clip.events / (clip.events.std() + 1e-3) + 2 * clip.cuts
        tempo = measures.visual_tempo(happening.astype(np.float64), RATE)
        apart = measures.octaves_apart(tempo, [self.tracks[index].moments.tempo_bpm for index in indices.tolist()])
        octaves = dict(zip(indices.tolist(), apart.tolist(), strict=True))
        return _Table(one, self.tracks, parts, octaves, float(self._lively[number]), self._loud, self._busy)


def _mean_of(moments: TrackMoments, name: str) -> float:
    curve = None if moments.accents is None else getattr(moments.accents, name)
    return float(curve.mean()) if curve is not None and len(curve) else float("nan")


def _pooled(
    asked: int, sizes: Sequence[int], recalls: Numbers, ranks: Numbers, groups: NDArray[np.int64], seed: int
) -> Pooled:
    """What recalls [clips, rankings, ks] and ranks [clips, rankings] come to."""
    rankings = {
        name: Ranking(
            {
                k: measures.over_sources(recalls[:, row, column], groups, seed=seed)
                for column, k in enumerate(RECALL_AT)
            },
            float(np.median(ranks[:, row])),
        )
        for row, name in enumerate((*OURS, *BASELINES))
    }
    gains = {
        name: {
            k: measures.over_sources(recalls[:, 0, column] - recalls[:, row, column], groups, seed=seed)
            for column, k in enumerate(RECALL_AT)
        }
        for row, name in enumerate(BASELINES, start=len(OURS))
    }
    chance = {k: float(np.mean([measures.recall_by_chance(k, size) for size in sizes])) for k in RECALL_AT}
    chance_rank = float(np.median([(1 + size) / 2 for size in sizes]))
    draws = 1 if max(sizes) < asked else DRAWS
    return Pooled(asked, min(sizes), max(sizes), draws, rankings, chance, chance_rank, gains)


def _started(bench: _Bench, groups: NDArray[np.int64], seed: int) -> Started:
    """Lay each clip upon its own music, where there is a choice."""
    rng = np.random.default_rng(seed)
    found_at, by_chance = _Starts([], [], []), _Starts([], [], [])
    cut: list[tuple[float, float, int]] = []
    for number, one in enumerate(bench.asked):
        track, clip = bench.tracks[one.own], one.clip
        moments, room_s = track.moments, track.moments.duration_s - clip.duration_s
        if room_s < _CHOICE_S:
            continue
        found = place(clip, moments, track.segments, bench.together(number, one.own))
        random_s = rng.uniform(0, room_s, RANDOM_STARTS)
        found_at.add(one, np.array([found.start_s]), np.array([found.end_s]))
        by_chance.add(one, random_s, random_s + clip.duration_s)
        if found.cuts_on_beats is not None:
            shares = [cuts_on_beats(clip.cuts_s, moments.beats_s, at, 1.0, moments.duration_s)[0] for at in random_s]
            mean = float(np.mean([share for share in shares if share is not None]))
            cut.append((found.cuts_on_beats, mean, int(groups[number])))
    on_beats, random, of = np.array(cut, np.float64).reshape(-1, 3).T
    return Started(
        clips=len(found_at.errors_s),
        cut_clips=len(cut),
        cuts_on_beats=_mean(on_beats),
        by_chance=_mean(random),
        ratio=measures.ratio_over_sources(on_beats, random, of.astype(np.int64), seed=seed),
        error_s=_median(found_at.errors_s),
        error_by_chance_s=_median(by_chance.errors_s),
        close=_mean(found_at.close),
        close_by_chance=_mean(by_chance.close),
        overlap=_mean(found_at.overlaps),
        overlap_by_chance=_mean(by_chance.overlaps),
    )


@dataclass(frozen=True)
class _Starts:
    """Of each clip, over the starts that it is given: median error, share of those that are close, mean overlap."""

    errors_s: list[float]
    close: list[float]
    overlaps: list[float]

    def add(self, one: Asked, starts_s: Numbers, ends_s: Numbers) -> None:
        errors_s = np.abs(starts_s - one.start_s)
        self.errors_s.append(float(np.median(errors_s)))
        self.close.append(float((errors_s <= _CLOSE_S).mean()))
        span_s = one.start_s, one.start_s + one.clip.duration_s
        self.overlaps.append(float(measures.overlap(starts_s, ends_s, span_s).mean()))


def _mean(values: Sequence[float] | Numbers) -> float:
    return float(np.mean(values)) if len(values) else float("nan")


def _median(values: Sequence[float]) -> float:
    return float(np.median(values)) if values else float("nan")
