"""A search by humming as JSON, over HTTP and with `--json`."""

from typing import Any

from pydantic import BaseModel, Field

from api.documents.answer import SpanOut, shown_metadata
from api.documents.search import Strict, ranged
from retrieval.filters.language import Filter
from retrieval.json_values import Whole
from retrieval.search.humming.answering import HumAnswer
from retrieval.search.query import MAX_LIMIT


class HumSearch(Strict):
    """How to search by a hum."""

    filter: Filter | None = None
    limit: Whole = ranged(10, 1, MAX_LIMIT)


class HumExplanationOut(BaseModel):
    """How the track is played, beside the hum."""

    transposition: float = Field(description="semitones that the track is higher than the hum")
    tempo_ratio: float = Field(description="the hum's tempo over the track's")


class HumResultOut(BaseModel):
    """A track, where in it the hum is found, and how well: 0 … 1."""

    track: str
    score: float
    rank: int
    metadata: dict[str, Any]
    span: SpanOut
    explain: HumExplanationOut


class HumAnswerOut(BaseModel):
    """Tracks in which the hum was found, best first; `matching` is how many melodies were searched."""

    results: list[HumResultOut]
    matching: int
    timing_ms: dict[str, float] = Field(description="milliseconds by part, and in `total` of all of them")


def hum_answer_out(answer: HumAnswer) -> HumAnswerOut:
    """An answer for callers."""
    return HumAnswerOut(
        results=[
            HumResultOut(
                track=track.key,
                score=round(found.score, 6),
                rank=rank,
                metadata=shown_metadata(track),
                span=SpanOut(start_s=round(found.span_s[0], 3), end_s=round(found.span_s[1], 3)),
                explain=HumExplanationOut(
                    transposition=round(found.transposition, 2), tempo_ratio=round(found.tempo_ratio, 3)
                ),
            )
            for rank, (track, found) in enumerate(answer.results, start=1)
        ],
        matching=answer.matching,
        timing_ms=dict(answer.timing_ms),
    )
