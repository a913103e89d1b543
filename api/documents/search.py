"""A search as JSON: the body of `POST /v1/query`, of `soundalike query`, and of a line of `evaluate run --queries`.

Unknown fields are refused, and all that is wrong is told at once. What a `Query` complains of beyond that is named as
it was sent.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Annotated, Any, ClassVar, Literal, Self, TypeVar

import numpy as np
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    model_validator,
)

from api.documents.wellformed import DocumentError, check, parse_json
from retrieval.catalog.conditions import SECTION_LABELS, joined
from retrieval.catalog.records import Granularity
from retrieval.errors import Place, QueryError, UnknownTrackError
from retrieval.filters.language import Filter
from retrieval.json_values import STRICTLY, WHOLE, Listed, Whole
from retrieval.search.query import (
    HALF_LIFE,
    MAX_CANDIDATES,
    MAX_EXAMPLES,
    MAX_GAP,
    MAX_LIMIT,
    MAX_PLAYLIST,
    Diversity,
    Query,
    QueueContext,
    Seed,
)
from retrieval.search.recommend import MAX_WEIGHT, MIN_WEIGHT, Strategy
from retrieval.wording import reasons, shown

MAX_EXCLUDE = 10_000
MAX_PREVIOUS = 1_000
MAX_DIM = 4_096
MAX_KEY_LENGTH = 1_024

# What PostgreSQL cannot hold is refused here, where the field can be named.
Name = Annotated[str, StringConstraints(min_length=1, max_length=MAX_KEY_LENGTH, pattern=r"^[^\x00]*$")]

_One = Annotated[str, StringConstraints(min_length=1, max_length=MAX_KEY_LENGTH, strip_whitespace=True)]
Several = Annotated[
    str | Annotated[Listed[_One], Field(min_length=1, max_length=100)],
    AfterValidator(lambda said: joined(said) if isinstance(said, list) else said),
]
"""What a track may have several of, as a text or as a list."""


def ranged(default: float | None, least: float, most: float | None = None, description: str | None = None) -> Any:
    """A number whose range is that of the query: all that are wrong in a document are told at once."""
    return Field(default=default, description=description, ge=least, le=most)


class Strict(BaseModel):
    """A part of a document: unknown fields are refused, and what none may hold (`api.documents.wellformed`)."""

    model_config = ConfigDict(**STRICTLY, arbitrary_types_allowed=True)
    checked_apart: ClassVar[frozenset[str]] = frozenset()
    """Fields that hold documents of their own, each of which answers for itself."""

    @classmethod
    def model_validate(cls, obj: Any, **options: Any) -> Self:
        """Read a document from JSON's objects.

        Raises
        ------
        DocumentError
            With the path of the first field that does not fit, and of the others.
        TooDeepError
        """
        apart = cls.checked_apart if isinstance(obj, dict) else ()
        check({name: value for name, value in obj.items() if name not in apart} if apart else obj)
        try:
            return super().model_validate(obj, **options)
        except ValidationError as error:
            wrong = [(path or "body", reason) for path, reason in reasons(error, cls)]
            raise DocumentError(*wrong[0], wrong=wrong) from error


Document = TypeVar("Document", bound=Strict)


def read(kind: type[Document], raw: Any) -> Document:
    """Read a document from JSON's objects.

    Raises
    ------
    DocumentError
        With the path of the first field that does not fit.
    """
    return kind.model_validate(raw)


def read_json(kind: type[Document], raw: str, field: str = "body") -> Document:
    """Read a document from JSON that stands in a field of something else.

    Raises
    ------
    DocumentError, TooDeepError
    """
    try:
        given = parse_json(raw, field)
    except ValueError as error:
        raise DocumentError(field, f"is not JSON: {error}") from error
    return kind.model_validate(given)


class ExampleIn(Strict):
    """A track of the catalogue, a span or a section of one, or a vector."""

    track: Name | None = Field(default=None, description="key of a track in the catalogue")
    start_s: float | None = ranged(None, 0, description="with end_s: the span of the track that is meant")
    end_s: float | None = ranged(None, 0)
    section: str | None = Field(
        default=None,
        description="instead of a span: the section of the track that is meant, by its label",
        json_schema_extra={"enum": [*SECTION_LABELS, None]},
    )
    vector: Listed[float] | None = Field(default=None, min_length=1, max_length=MAX_DIM, description="in the space")

    def as_seed(self) -> Seed:
        """The example as `retrieval` takes it."""
        vector = None if self.vector is None else np.array(self.vector, np.float32)
        return Seed(self.track, self.start_s, self.end_s, self.section, vector)


class WeightedExampleIn(ExampleIn):
    """One example of several."""

    weight: float = ranged(1.0, MIN_WEIGHT, MAX_WEIGHT)

    @model_validator(mode="after")
    def _has_one(self) -> Self:
        check_one(track=self.track, vector=self.vector)
        return self

    def as_seed(self) -> Seed:
        """The example as `retrieval` takes it."""
        return replace(super().as_seed(), weight=self.weight)


class RecommendationIn(Strict):
    """What to be like, and what to be unlike."""

    positive: Listed[WeightedExampleIn] = Field(min_length=1, max_length=MAX_EXAMPLES)
    negative: Listed[WeightedExampleIn] = Field(default_factory=list, max_length=MAX_EXAMPLES)
    strategy: Strategy = "average_vector"


class ContinuationIn(Strict):
    """A playlist to go on with: by its last tracks most, and none of it again."""

    playlist: Listed[Name] = Field(description="keys of tracks, oldest first", min_length=1, max_length=MAX_PLAYLIST)
    half_life: float = Field(
        default=HALF_LIFE,
        description="tracks after which an example counts half",
        gt=0,
    )


class QueryIn(ExampleIn):
    """What to search by: exactly one of track, vector, recommend, continue."""

    recommend: RecommendationIn | None = None
    continuation: ContinuationIn | None = Field(default=None, alias="continue")

    @model_validator(mode="after")
    def _has_one(self) -> Self:
        kinds = {"track": self.track, "vector": self.vector, "recommend": self.recommend}
        check_one(**kinds, **{"continue": self.continuation})
        return self


class ContextIn(Strict):
    """What plays before the results, oldest first, and how far apart the tracks of one artist or album must stand."""

    previous: Listed[Name] = Field(default_factory=list, max_length=MAX_PREVIOUS)
    artist_gap: Whole = ranged(0, 0, MAX_GAP)
    album_gap: Whole = ranged(0, 0, MAX_GAP)

    def as_context(self) -> QueueContext:
        """The context as `retrieval` takes it."""
        return QueueContext(tuple(self.previous), self.artist_gap, self.album_gap)


class MaxPerIn(Strict):
    """At most so many results of one artist, of one album."""

    artist: Annotated[int, Field(ge=1), WHOLE] | None = None
    album: Annotated[int, Field(ge=1), WHOLE] | None = None


def _no_number(said: Any) -> Any:
    """Refuse 1 and 0, which to Python are true and false."""
    if isinstance(said, int | float) and not isinstance(said, bool):
        raise ValueError(f'is {shown(said)}; accepted: true, false or "sure"')
    return said


class DiversityIn(Strict):
    """How unlike each other the results shall be."""

    mmr: float = ranged(0.0, 0, 1, description="0 for relevance alone, 1 for unlikeness alone")
    candidates: Whole = ranged(500, 1, MAX_CANDIDATES, description="of which the results are picked")
    max_per: MaxPerIn = Field(default_factory=MaxPerIn)
    fold_duplicates: Annotated[Literal[True, False, "sure"], BeforeValidator(_no_number)] = Field(
        default=False,
        description="leave out other versions of a track that is in already, or an example; sure: only where "
        "fingerprints say so, or a cosine of 0.995",
    )
    csls: bool = Field(default=False, description="rank tracks lower that are near everything")


class MediaSearch(Strict):
    """How to search: everything but what to search by."""

    space: Name | None = None
    granularity: Granularity = Field(default="track", description="segment: by the nearest part of each track")
    filter: Filter | None = None
    exclude: Listed[Name] = Field(default_factory=list, max_length=MAX_EXCLUDE)
    include_seed: bool = False
    context: ContextIn | None = None
    diversity: DiversityIn | None = None
    score_threshold: float | None = ranged(None, 0, 1)
    limit: Whole = ranged(10, 1, MAX_LIMIT)
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
            diversity=None if self.diversity is None else Diversity(**self.diversity.model_dump(exclude_none=True)),
            score_threshold=self.score_threshold,
            limit=self.limit,
            cursor=self.cursor,
            exact=self.exact,
            explain=self.explain,
        )

    @contextmanager
    def naming_fields(self) -> Iterator[None]:
        """What is wrong with the query is named by the path of its field in this document.

        Raises
        ------
        DocumentError
        """
        try:
            yield
        except QueryError as error:
            wrong = [(self._path_of(one.field, one.example), one.explanation) for one in error.every]
            raise DocumentError(*wrong[0], error, wrong=wrong) from error
        except UnknownTrackError as error:
            raise DocumentError(self._path_of("track", error.example), str(error), error) from error

    def _path_of(self, field: str, example: Place | None) -> str:
        """Where a field of the query is, or one of the only example."""
        if example is not None or not field:
            return f"query.{field}".rstrip(".")
        name = field.partition(".")[0]
        if name in ContextIn.model_fields:
            return f"context.{field}"
        return f"diversity.{field}" if name in DiversityIn.model_fields else field


class SearchIn(MediaSearch):
    """One search."""

    query: QueryIn

    def as_query(self) -> Query:
        """The query as `retrieval` takes it."""
        taste, playlist = self.query.recommend, self.query.continuation
        if playlist is not None:
            return self.query_for([Seed(key) for key in playlist.playlist], half_life=playlist.half_life)
        if taste is None:
            return self.query_for([self.query.as_seed()])
        positive, negative = ([example.as_seed() for example in side] for side in (taste.positive, taste.negative))
        return self.query_for(positive, negative, taste.strategy)

    def _path_of(self, field: str, example: Place | None) -> str:
        """Where a field of the query is, or one of an example."""
        if self.query.recommend is not None:
            if example is not None:
                side, number = example
                return f"query.recommend.{side}[{number}].{field}".rstrip(".")
            if not field or field in RecommendationIn.model_fields:
                return f"query.recommend.{field}".rstrip(".")
        if self.query.continuation is not None:
            if example is not None or field == "positive":  # a playlist is of keys alone
                return "query.continue.playlist" + (f"[{example[1]}]" if example else "")
            if not field or field in ContinuationIn.model_fields:
                return f"query.continue.{field}".rstrip(".")
        return super()._path_of(field, example)


def check_one(**given: object) -> None:
    """Refuse all but one of these, for pydantic to say where."""
    if sum(value is not None for value in given.values()) != 1:
        raise ValueError(f"exactly one of {', '.join(given)} is needed")
