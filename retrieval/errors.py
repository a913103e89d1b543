"""What can go wrong in the catalogue and its search."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Sequence

MOST_TOLD = 5
"""Of many things that are wrong, those that stand in one sentence."""
Place = tuple[str, int]
"""Where an example is in a query: its side, ``positive`` or ``negative``, and its index there."""


class RetrievalError(Exception):
    """Root of every error that `retrieval` raises."""


class DatabaseUnavailableError(RetrievalError):
    """No PostgreSQL answers at the configured address."""


class SchemaError(RetrievalError):
    """The database's schema is not the one this version works with."""


class UnknownTrackError(RetrievalError):
    """A track key that the catalogue does not hold.

    Attributes
    ----------
    nearest : keys most like it
    example : which of a query's examples has the key, or none
    why : what else there is to say of it, or none
    """

    def __init__(
        self, key: str, nearest: Sequence[str] = (), example: Place | None = None, *, why: str | None = None
    ) -> None:
        self.key = key
        self.nearest = tuple(nearest)
        self.example = example
        self.why = why
        hint = f"; nearest keys: {', '.join(self.nearest)}" if self.nearest else ""
        super().__init__(f"{key}: {why}" if why else f"no track with key {key!r}{hint}")


class PlaceTakenError(RetrievalError):
    """A file's track came into the catalogue by another key meanwhile."""


class UnknownClipError(RetrievalError):
    """A clip that is asked about by its id, and is not kept."""


class MissingEmbeddingError(RetrievalError):
    """A track that has no embedding in the asked space."""


class IndexMissingError(RetrievalError):
    """A space that no track was ever encoded in.

    Attributes
    ----------
    space : its name
    accepted : spaces that hold tracks, or what brings some in
    """

    def __init__(self, space: str, message: str, accepted: str) -> None:
        self.space = space
        self.accepted = accepted
        super().__init__(message)


class IndexMismatchError(RetrievalError):
    """An index snapshot whose manifest or files are not what was expected; both values are named."""


class QueryError(RetrievalError):
    """A query that cannot be run as asked.

    Attributes
    ----------
    field : name of the field that is wrong, of the query or of the `example`; empty for all of it
    reason : what is wrong with it
    accepted : what would be accepted, or empty
    example : which of the query's examples is meant, or none
    message : where it is wrong, the reason, and what would be accepted
    others : what else is wrong, where all of it was looked at
    """

    others: Sequence[Self] = ()

    def __init__(self, field: str, reason: str, accepted: str = "", example: Place | None = None) -> None:
        self.field = field
        self.reason = reason
        self.accepted = accepted
        self.example = example
        steps = [] if example is None else [f"{example[0]}[{example[1]}]"]
        where = ".".join([*steps, field] if field else steps)
        self.message = f"{where}: {self.explanation}" if where else self.explanation
        super().__init__(self.message)

    def __str__(self) -> str:
        return "; ".join(error.message for error in self.every[:MOST_TOLD])

    @property
    def every(self) -> Sequence[Self]:
        """It, and what else is wrong."""
        return (self, *self.others)

    def with_others(self, others: Sequence[Self]) -> Self:
        """The same, with what else is wrong."""
        self.others = others
        return self

    @property
    def explanation(self) -> str:
        """The reason, and what would be accepted."""
        return self.reason + (f"; accepted: {self.accepted}" if self.accepted else "")


class OutOfRangeError(QueryError):
    """A number, or a count, outside its range."""


class NoMelodyError(QueryError):
    """A file to search by in which nobody hums, sings or whistles a melody; `why` that is thought of it."""

    def __init__(self, why: str, file: str = "file") -> None:
        self.why = why
        accepted = "some seconds of one voice that hums, sings or whistles a melody"
        super().__init__(file, f"holds no melody: {why}", accepted)


class StaleCursorError(RetrievalError):
    """A page that was asked for after the index had changed."""


class FilterError(QueryError):
    """A filter that names an unknown key or is malformed."""


class CorrectionError(QueryError):
    """A correction that names a field that cannot be corrected, or a value that it cannot have."""


class NotAnalysedError(RetrievalError):
    """A track that the stage which was asked for has not heard."""


class MissingLibraryError(RetrievalError, ImportError):
    """A library that no requirement brings: it must be chosen at installation."""
