"""What comes in over HTTP alone: forms, arguments of addresses, and searches in a batch."""

from typing import Annotated, Any

from apiflask.fields import UploadFile
from pydantic import Field, WithJsonSchema

from api.documents.search import Name, Several, Strict, ranged
from retrieval.search.query import MAX_LIMIT

MAX_SEARCHES = 100


class BatchIn(Strict):
    """Several searches at once. Each is checked on its own: a bad one answers with its problem, the others answer."""

    checked_apart = frozenset({"searches"})
    searches: list[Annotated[Any, WithJsonSchema({"$ref": "#/components/schemas/SearchIn"})]] = Field(
        min_length=1, max_length=MAX_SEARCHES
    )


class AudioSearchForm(Strict):
    """A search by a clip: the file, and a `MediaSearch` as JSON in `body`."""

    file: UploadFile
    body: str | None = Field(default=None, description="JSON: space, filter, limit, … as in /v1/query")


class VideoSearchForm(Strict):
    """A search by a video or a picture: the file, unless `body` names a clip; and a `VideoSearch` as JSON in `body`."""

    file: UploadFile | None = None
    body: str | None = Field(default=None, description="JSON: clip, start_s, end_s, filter, limit, … as in /v1/query")


class HummingForm(Strict):
    """A search by a hum: the file, and a `HumSearch` as JSON in `body`."""

    file: UploadFile
    body: str | None = Field(default=None, description="JSON: filter, limit")


class TrackFields(Strict):
    """What a sender says of a track; what is left out is taken from the file's own tags."""

    title: str | None = None
    artist: Several | None = None
    album: str | None = None
    genre: Several | None = None
    year: int | None = Field(default=None, ge=0, le=9999)
    metadata: dict[str, Any] | None = Field(
        default=None, description="the caller's own JSON, filterable as meta.<path>"
    )


class TrackForm(Strict):
    """A track to index: the file, and `TrackFields` as JSON in `body`."""

    file: UploadFile
    body: str | None = None


class BulkForm(Strict):
    """Several tracks to index: the name of each file is its key."""

    files: list[UploadFile]


class ListArguments(Strict):
    """A page of the catalogue."""

    filter: str | None = Field(default=None, description="a filter as JSON")
    missing: bool = Field(
        default=False, description="those whose files are not there any more, which answers leave out"
    )
    cursor: str | None = None
    limit: int = Field(default=100, ge=1, le=MAX_LIMIT)


class DeleteArguments(Strict):
    """How a track is taken out."""

    ignore: bool = Field(default=False, description="whether its file stays out when its folder is indexed again")


class FacetArguments(Strict):
    """The tracks to count."""

    filter: str | None = Field(default=None, description="a filter as JSON")


class SimilarArguments(Strict):
    """Neighbours of one track."""

    space: Name | None = None
    limit: int = ranged(10, 1, MAX_LIMIT)
    explain: bool = False


class SpaceArguments(Strict):
    """A space."""

    space: Name | None = None
