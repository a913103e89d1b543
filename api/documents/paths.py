"""Playlists from one track to another, as they are asked for and shown."""

from __future__ import annotations

from collections.abc import Iterator, Sequence  # noqa: TC003 - pydantic reads annotations
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from pydantic import BaseModel, Field, model_validator

from api.documents.answer import shown_metadata
from api.documents.search import MAX_DIM, Name, Strict, check_one, ranged
from api.documents.wellformed import DocumentError
from retrieval.errors import QueryError, UnknownTrackError
from retrieval.json_values import Listed, Whole  # noqa: TC001 - pydantic reads annotations
from retrieval.search.query import MAX_STEPS, Seed

if TYPE_CHECKING:
    from retrieval.catalog.reading import Catalog
    from retrieval.search.playlists import Playlist


class EndIn(Strict):
    """Where a path begins or ends: a track of the catalogue, or a vector."""

    track: Name | None = Field(default=None, description="key of a track in the catalogue")
    vector: Listed[float] | None = Field(default=None, min_length=1, max_length=MAX_DIM, description="in the space")

    @model_validator(mode="after")
    def _has_one(self) -> Self:
        check_one(track=self.track, vector=self.vector)
        return self

    def as_seed(self) -> Seed:
        """The end as `retrieval` takes it."""
        return Seed(self.track, vector=None if self.vector is None else np.array(self.vector, np.float32))


class PathIn(Strict):
    """A playlist that leads from one track to another."""

    start: EndIn
    end: EndIn
    steps: Whole = ranged(10, 2, MAX_STEPS, description="tracks, both ends included")
    space: Name | None = None

    @contextmanager
    def naming_fields(self, catalog: Catalog) -> Iterator[None]:
        """What cannot be is named by the path of its field.

        Raises
        ------
        DocumentError
        """
        for name, end in (("start", self.start), ("end", self.end)):
            try:
                if end.track is not None:
                    catalog.track(end.track)
            except UnknownTrackError as error:
                raise DocumentError(f"{name}.track", str(error), error) from error
        try:
            yield
        except QueryError as error:
            side = "end" if self.start.vector is None else "start"
            field = f"{side}.vector" if error.field == "vector" else error.field
            raise DocumentError(field, error.explanation, error) from error


class StopOut(BaseModel):
    """A track on the way; or where it begins or ends, where that is none of the catalogue's."""

    track: str | None
    file: str | None = None
    cosine_to_next: float | None
    metadata: dict[str, Any] | None = None


class PathOut(BaseModel):
    """Tracks in the order in which they play; `reason` says why there are fewer than asked for."""

    tracks: list[StopOut]
    space: str
    index_version: str
    reason: str | None


def path_out(way: Playlist, outside: Sequence[str | None] = (None, None)) -> PathOut:
    """A playlist for callers.

    Parameters
    ----------
    outside : names of its start and of its end where they are files, or none
    """
    first = [StopOut(track=None, file=outside[0], cosine_to_next=None)] if way.starts_outside else []
    last = [StopOut(track=None, file=outside[1], cosine_to_next=None)] if way.ends_outside else []
    on_way = [StopOut(track=one.key, cosine_to_next=None, metadata=shown_metadata(one)) for one in way.tracks]
    stops = [*first, *on_way, *last]
    for stop, cosine in zip(stops, [*way.cosines, None], strict=True):
        stop.cosine_to_next = cosine
    return PathOut(tracks=stops, space=way.space, index_version=way.index_version, reason=way.reason)
