"""What comes in over HTTP. Unknown fields are refused; a body of `/v1/query` becomes a `Query` of `retrieval`."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated, Any, Self

import numpy as np
from apiflask.fields import UploadFile
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, WithJsonSchema, model_validator

from retrieval.catalog.records import Granularity
from retrieval.errors import QueryError, UnknownTrackError
from retrieval.filters.language import Filter
from retrieval.search.query import (
    HALF_LIFE,
    MAX_CANDIDATES,
    MAX_EXAMPLES,
    MAX_LIMIT,
    MAX_PLAYLIST,
    Diversity,
    Query,
    QueueContext,
    Seed,
)
from retrieval.search.recommend import MAX_WEIGHT, MIN_WEIGHT, Strategy

MAX_EXCLUDE = 10_000
MAX_PREVIOUS = 1_000
MAX_SEARCHES = 100
MAX_DIM = 4_096
MAX_KEY_LENGTH = 1_024

# What PostgreSQL cannot hold is refused here, where the field can be named.
Name = Annotated[str, StringConstraints(min_length=1, max_length=MAX_KEY_LENGTH, pattern=r"^[^\x00]*$")]


class In(BaseModel):
    """A request: unknown fields, NaN and infinities are refused."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False, arbitrary_types_allowed=True)


class ExampleIn(In):
    """A track of the catalogue, a span of one, or a vector."""

    track: Name | None = Field(default=None, description="key of a track in the catalogue")
    start_s: float | None = Field(default=None, description="with end_s: the span of the track that is meant")
    end_s: float | None = None
    vector: list[float] | None = Field(default=None, min_length=1, max_length=MAX_DIM, description="in the space")

    def as_seed(self) -> Seed:
        """The example as `retrieval` takes it."""
        vector = None if self.vector is None else np.array(self.vector, np.float32)
        return Seed(self.track, self.start_s, self.end_s, vector)


class WeightedExampleIn(ExampleIn):
    """One example of several."""

    weight: float = Field(default=1.0, ge=MIN_WEIGHT, le=MAX_WEIGHT)

    @model_validator(mode="after")
    def _one(self) -> Self:
        _check_one(track=self.track, vector=self.vector)
        return self

    def as_seed(self) -> Seed:
        """The example as `retrieval` takes it."""
        return replace(super().as_seed(), weight=self.weight)


class RecommendationIn(In):
    """What to be like, and what to be unlike."""

    positive: list[WeightedExampleIn] = Field(min_length=1, max_length=MAX_EXAMPLES)
    negative: list[WeightedExampleIn] = Field(default_factory=list, max_length=MAX_EXAMPLES)
    strategy: Strategy = "average_vector"


class ContinuationIn(In):
    """A playlist to go on with: by its last tracks most, and none of it again."""

    playlist: list[Name] = Field(min_length=1, max_length=MAX_PLAYLIST, description="keys of tracks, oldest first")
    half_life: float = Field(default=HALF_LIFE, gt=0, description="tracks after which an example counts half")


class QueryIn(ExampleIn):
    """What to search by: exactly one of track, vector, recommend, continue."""

    recommend: RecommendationIn | None = None
    continuation: ContinuationIn | None = Field(default=None, alias="continue")

    @model_validator(mode="after")
    def _one(self) -> Self:
        kinds = {"track": self.track, "vector": self.vector, "recommend": self.recommend}
        _check_one(**kinds, **{"continue": self.continuation})
        return self


class ContextIn(In):
    """What plays before the results, oldest first, and how far apart the tracks of one artist or album must stand."""

    previous: list[Name] = Field(default_factory=list, max_length=MAX_PREVIOUS)
    artist_gap: int = Field(default=0, ge=0, le=MAX_PREVIOUS)
    album_gap: int = Field(default=0, ge=0, le=MAX_PREVIOUS)

    def as_context(self) -> QueueContext:
        """The context as `retrieval` takes it."""
        return QueueContext(tuple(self.previous), self.artist_gap, self.album_gap)


class MaxPerIn(In):
    """At most so many results of one artist, of one album."""

    artist: int | None = Field(default=None, ge=1)
    album: int | None = Field(default=None, ge=1)


class DiversityIn(In):
    """How unlike each other the results shall be."""

    mmr: float = Field(default=0.0, ge=0, le=1, description="0 for relevance alone, 1 for unlikeness alone")
    candidates: int = Field(default=500, ge=1, le=MAX_CANDIDATES, description="of which the results are picked")
    max_per: MaxPerIn = Field(default_factory=MaxPerIn)
    fold_duplicates: bool = Field(
        default=False, description="leave out other versions of a track that is in already, or an example"
    )
    csls: bool = Field(default=False, description="rank tracks lower that are near everything")

    def as_diversity(self) -> Diversity:
        """The wish as `retrieval` takes it."""
        max_per = self.max_per.model_dump(exclude_none=True)
        return Diversity(self.mmr, self.candidates, max_per, self.fold_duplicates, self.csls)


class MediaSearch(In):
    """How to search: everything but what to search by."""

    space: Name | None = None
    granularity: Granularity = Field(default="track", description="segment: by the nearest part of each track")
    filter: Filter | None = None
    exclude: list[Name] = Field(default_factory=list, max_length=MAX_EXCLUDE)
    include_seed: bool = False
    context: ContextIn | None = None
    diversity: DiversityIn | None = None
    score_threshold: float | None = Field(default=None, ge=0, le=1)
    limit: int = Field(default=10, ge=1, le=MAX_LIMIT)
    cursor: str | None = Field(default=None, description="next_cursor of the page before")
    explain: bool = False
    exact: bool = False

    def query_for(
        self,
        positive: Sequence[Seed],
        negative: Sequence[Seed] = (),
        strategy: Strategy = "average_vector",
        half_life: float | None = None,
    ) -> Query:
        """The query as `retrieval` takes it, for these examples."""
        return Query(
            positive,
            negative,
            strategy,
            half_life,
            space=self.space,
            granularity=self.granularity,
            filter=self.filter,
            exclude=tuple(self.exclude),
            include_seed=self.include_seed,
            context=None if self.context is None else self.context.as_context(),
            diversity=None if self.diversity is None else self.diversity.as_diversity(),
            score_threshold=self.score_threshold,
            limit=self.limit,
            cursor=self.cursor,
            exact=self.exact,
            explain=self.explain,
        )


class SearchIn(MediaSearch):
    """One search."""

    query: QueryIn

    def as_query(self) -> Query:
        """The query as `retrieval` takes it."""
        wanted, playlist = self.query.recommend, self.query.continuation
        if playlist is not None:
            return self.query_for([Seed(key) for key in playlist.playlist], half_life=playlist.half_life)
        if wanted is None:
            return self.query_for([self.query.as_seed()])
        positive, negative = ([example.as_seed() for example in side] for side in (wanted.positive, wanted.negative))
        return self.query_for(positive, negative, wanted.strategy)

    def as_sent(self, error: QueryError | UnknownTrackError) -> QueryError | UnknownTrackError:
        """The error with the path that the caller sent: a query for one example is the same, recommended or not."""
        step, _, rest = error.field.partition(".")
        if self.query.recommend is None or step != "query" or rest.startswith("recommend"):
            return error
        return error.at(".".join(["query.recommend.positive[0]", *([rest] if rest else [])]))


class BatchIn(In):
    """Several searches at once. Each is checked on its own: a bad one answers with its problem, the others answer."""

    searches: list[Annotated[Any, WithJsonSchema({"$ref": "#/components/schemas/SearchIn"})]] = Field(
        min_length=1, max_length=MAX_SEARCHES
    )


class AudioSearchForm(In):
    """A search by a clip: the file, and a `MediaSearch` as JSON in `body`."""

    file: UploadFile
    body: str | None = Field(default=None, description="JSON: space, filter, limit, … as in /v1/query")


class TrackFields(In):
    """What a sender says of a track; what is left out is taken from the file's own tags."""

    title: str | None = None
    artist: str | None = None
    album: str | None = None
    genre: str | None = None
    year: int | None = Field(default=None, ge=0, le=9999)
    metadata: dict[str, Any] | None = Field(
        default=None, description="the caller's own JSON, filterable as meta.<path>"
    )


class TrackForm(In):
    """A track to index: the file, and `TrackFields` as JSON in `body`."""

    file: UploadFile
    body: str | None = None


class BulkForm(In):
    """Several tracks to index: the name of each file is its key."""

    files: list[UploadFile]


class ListArguments(In):
    """A page of the catalogue."""

    filter: str | None = Field(default=None, description="a filter as JSON")
    cursor: str | None = None
    limit: int = Field(default=100, ge=1, le=MAX_LIMIT)


class SimilarArguments(In):
    """Neighbours of one track."""

    space: Name | None = None
    limit: int = Field(default=10, ge=1, le=MAX_LIMIT)
    explain: bool = False


class SpaceArguments(In):
    """A space."""

    space: Name | None = None


def _check_one(**given: object) -> None:
    if sum(value is not None for value in given.values()) != 1:
        raise ValueError(f"exactly one of {', '.join(given)} is needed")
