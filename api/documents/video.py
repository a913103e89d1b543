"""A search by a video or a picture as JSON, over HTTP and with `--json`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import BaseModel, Field, ValidationInfo, field_validator

from api.documents.answer import AnswerOut, ResultOut, answer_out
from api.documents.search import MediaSearch, ranged
from encoders.tag_vocabulary import agreeing

if TYPE_CHECKING:
    from api.matching import Watched
    from retrieval.search.video.answering import Fit, VideoAnswer
    from retrieval.search.video.clip import Clip

SHARED_TAG_SCORE = 0.1
"""Score from which on a track has a tag."""
_LONGEST_S = 86_400.0
_MOST_TAGS = 5


class VideoSearch(MediaSearch):
    """How to search by a video: which part of it, and everything that any search takes but a space."""

    clip: str | None = Field(default=None, description="id of a clip that was sent before, in the place of a file")
    start_s: float | None = ranged(None, 0, _LONGEST_S, description="where in the video the clip begins")
    end_s: float | None = ranged(None, 0, _LONGEST_S, description="where it ends")

    @field_validator("end_s")
    @classmethod
    def _ends_behind(cls, end_s: float | None, before: ValidationInfo) -> float | None:
        start_s = before.data.get("start_s") or 0.0
        if end_s is not None and end_s <= start_s:
            raise ValueError(f"is {end_s:g}, start_s is {start_s:g}; accepted: start_s < end_s")
        return end_s

    @field_validator("space")
    @classmethod
    def _has_clips(cls, space: str | None) -> str | None:
        if space not in (None, "video"):
            raise ValueError(f'is "{space}"; accepted: video, in which alone clips lie beside music')
        return space

    @field_validator("granularity")
    @classmethod
    def _is_whole(cls, granularity: str) -> str:
        if granularity != "track":
            raise ValueError('is "segment"; accepted: "track"; `placement` says which part of it fits')
        return granularity


class ClipOut(BaseModel):
    """What was seen of the clip; `id` asks about it again, with another filter or another part, without the file."""

    id: str
    start_s: float
    duration_s: float
    is_picture: bool
    has_sound: bool
    is_limited: bool = Field(description="whether the video goes on where the limits of reading ended the clip")
    cuts: int
    cuts_per_minute: float
    suggests: list[str] = Field(description="tags of music that go with what is seen, by words, the likeliest first")


class PlacementOut(BaseModel):
    """The part of the track that plays under the clip, and the share of what happens in both that falls together."""

    start_s: float
    end_s: float
    rate: float = Field(description="the track's speed over its own")
    score: float
    chance: float = Field(description="score of all starts on average")


class SharedWordOut(BaseModel):
    """A word for what is seen, and a tag of the track that it speaks for."""

    word: str
    tag: str


class FitOut(BaseModel):
    """What drove the score.

    `learned` is a cosine in the space of music and video, `words` the correlation of suggested with heard tags, `sync`
    how far beyond chance both move together, in spreads.
    """

    learned: float
    words: float
    sync: float
    cuts_on_beats: float | None = Field(description="share of the cuts within 100 ms of a beat")
    cuts_by_chance: float | None = Field(description="that share at a random start")
    beats_per_cut: float | None = Field(description="the track's tempo over the clip's rate of cuts")
    shared_words: list[SharedWordOut]


class VideoResultOut(ResultOut):
    """One track, where it starts under the clip, and with `explain` what drove its score."""

    placement: PlacementOut | None
    fit: FitOut | None


class VideoAnswerOut(AnswerOut):
    """Tracks that fit the clip, best first."""

    clip: ClipOut
    results: list[VideoResultOut]  # type: ignore[assignment]


def video_answer_out(watched: Watched, found: VideoAnswer, *, explain: bool) -> VideoAnswerOut:
    """An answer for callers."""
    plain = answer_out(found.answer)
    results = [
        VideoResultOut(
            **shown.model_dump(),
            placement=_placement_out(fit),
            fit=_fit_out(found.clip, fit, result.track.tempo) if explain else None,
        )
        for shown, result, fit in zip(plain.results, found.answer.results, found.fits, strict=True)
    ]
    answer = plain.model_dump(exclude={"results"})
    return VideoAnswerOut(**answer, clip=_clip_out(watched, found.clip), results=results)


def _clip_out(watched: Watched, clip: Clip) -> ClipOut:
    seen = watched.seen
    suggested = (tag for tag in sorted(clip.tags, key=lambda tag: -clip.tags[tag]) if clip.tags[tag] > 0)
    return ClipOut(
        id=watched.clip_id,
        start_s=round(seen.from_s, 3),
        duration_s=round(seen.duration_s, 3),
        is_picture=seen.is_still,
        has_sound=seen.has_sound,
        is_limited=seen.is_limited,
        cuts=len(seen.cuts_s),
        cuts_per_minute=round(clip.cuts_per_minute, 2),
        suggests=agreeing(suggested)[:_MOST_TAGS],
    )


def _placement_out(fit: Fit) -> PlacementOut | None:
    placement = fit.placement
    if placement is None:
        return None
    return PlacementOut(
        start_s=round(placement.start_s, 3),
        end_s=round(placement.end_s, 3),
        rate=round(placement.rate, 4),
        score=round(placement.score, 4),
        chance=round(placement.chance, 4),
    )


def _fit_out(clip: Clip, fit: Fit, tempo: float | None) -> FitOut:
    placement, per_minute = fit.placement, clip.cuts_per_minute
    return FitOut(
        learned=round(fit.parts.learned, 4),
        words=round(fit.parts.words, 4),
        sync=round(fit.parts.sync, 3),
        cuts_on_beats=None if placement is None else placement.cuts_on_beats,
        cuts_by_chance=None if placement is None else placement.cuts_by_chance,
        beats_per_cut=round(tempo / per_minute, 2) if tempo is not None and per_minute else None,
        shared_words=[
            SharedWordOut(word=word, tag=tag) for word, tag in clip.words if fit.tags.get(tag, 0.0) >= SHARED_TAG_SCORE
        ],
    )
