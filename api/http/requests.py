"""What comes in over HTTP alone: forms, arguments of addresses, and searches in a batch."""

from typing import Annotated, Any, ClassVar, Self

from apiflask.fields import UploadFile
from pydantic import BeforeValidator, ConfigDict, Field, WithJsonSchema
from pydantic import Strict as Strictly

from api.documents.humming import HumSearch
from api.documents.search import MediaSearch, Name, SearchIn, Several, Strict, ranged
from api.documents.video import VideoSearch
from api.documents.wellformed import DocumentError
from retrieval.json_values import WHOLE
from retrieval.search.query import MAX_LIMIT

MAX_SEARCHES = 100

_FILES = "files, as parts of multipart/form-data (in curl, -F files=@A -F files=@B)"
_TRUTHS = {"true": True, "false": False}
Flag = Annotated[bool, BeforeValidator(lambda said: _TRUTHS.get(str(said).lower(), said)), Strictly()]
"""True or false in an address, in any case: Python's clients write ``True``."""


class Arguments(Strict):
    """What comes as text by its nature: the arguments of an address, the parts of a form."""

    model_config = ConfigDict(strict=False)


class Form(Arguments):
    """A form of parts: files, and a document as JSON in `body`."""

    in_body: ClassVar[type[Strict] | None] = None
    """The document."""

    @classmethod
    def model_validate(cls, obj: Any, **options: Any) -> Self:
        """Read a form.

        Raises
        ------
        DocumentError
            Also where what belongs in `body` stands beside it, or files are text.
        """
        given = obj if isinstance(obj, dict) else {}
        fields = cls.in_body.model_fields if cls.in_body is not None else {}
        wrong = [
            (name, f"belongs in body; accepted: in curl, -F 'body={{\"{name}\": …}}'")
            for name in given
            if name in fields and name not in cls.model_fields
        ]
        wrong += [
            (name, f"{'is missing' if given.get(name) is None else 'is no file'}; accepted: {_FILES}")
            for name, field in cls.model_fields.items()
            if field.annotation == list[UploadFile] and not isinstance(given.get(name), list)
        ]
        if wrong:
            raise DocumentError(*wrong[0], wrong=wrong)
        return super().model_validate(obj, **options)


class BatchIn(Strict):
    """Several searches at once. Each is checked on its own: a bad one answers with its problem, the others answer."""

    checked_apart = frozenset({"searches"})
    searches: list[Annotated[Any, WithJsonSchema({"type": "object"})]] = Field(min_length=1, max_length=MAX_SEARCHES)


def describe(document: Any) -> Any:
    """Say in the OpenAPI document what each search of a batch is: one model cannot refer to another's schema itself."""
    schemas = document["components"]["schemas"]
    schemas[BatchIn.__name__]["properties"]["searches"]["items"] = {"$ref": f"#/components/schemas/{SearchIn.__name__}"}
    return document


class AudioSearchForm(Form):
    """A search by a clip: the file, and a `MediaSearch` as JSON in `body`."""

    in_body = MediaSearch
    file: UploadFile
    body: str | None = Field(default=None, description="JSON: space, filter, limit, … as in /v1/query")


class VideoSearchForm(Form):
    """A search by a video or a picture: the file, unless `body` names a clip; and a `VideoSearch` as JSON in `body`."""

    in_body = VideoSearch
    file: UploadFile | None = None
    body: str | None = Field(default=None, description="JSON: clip, start_s, end_s, filter, limit, … as in /v1/query")


class HummingForm(Form):
    """A search by a hum: the file, and a `HumSearch` as JSON in `body`."""

    in_body = HumSearch
    file: UploadFile
    body: str | None = Field(default=None, description="JSON: filter, limit")


class TrackFields(Strict):
    """What a sender says of a track; what is left out is taken from the file's own tags."""

    title: str | None = None
    artist: Several | None = None
    album: str | None = None
    genre: Several | None = None
    year: Annotated[int, Field(ge=0, le=9999), WHOLE] | None = None
    metadata: dict[str, Any] | None = Field(
        default=None, description="the caller's own JSON, filterable as meta.<path>"
    )


class TrackForm(Form):
    """A track to index: the file, and `TrackFields` as JSON in `body`."""

    in_body = TrackFields
    file: UploadFile
    body: str | None = None


class BulkForm(Form):
    """Several tracks to index: the name of each file is its key."""

    files: list[UploadFile]


class ListArguments(Arguments):
    """A page of the catalogue."""

    filter: str | None = Field(default=None, description="a filter as JSON")
    missing: Flag = Field(
        default=False, description="those whose files are not there any more, which answers leave out"
    )
    cursor: str | None = None
    limit: int = Field(default=100, ge=1, le=MAX_LIMIT)


class DeleteArguments(Arguments):
    """How a track is taken out."""

    ignore: Flag = Field(default=False, description="whether its file stays out when its folder is indexed again")


class FacetArguments(Arguments):
    """The tracks to count."""

    filter: str | None = Field(default=None, description="a filter as JSON")


class SimilarArguments(Arguments):
    """Neighbours of one track."""

    space: Name | None = None
    limit: int = ranged(10, 1, MAX_LIMIT)
    explain: Flag = False


class SpaceArguments(Arguments):
    """A space."""

    space: Name | None = None
