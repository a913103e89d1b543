"""What can go wrong in the catalogue and its search."""

from collections.abc import Sequence


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
    field : path of the key in a query, or empty
    """

    def __init__(self, key: str, nearest: Sequence[str] = (), field: str = "") -> None:
        self.key = key
        self.nearest = tuple(nearest)
        self.field = field
        hint = f"; nearest keys: {', '.join(self.nearest)}" if self.nearest else ""
        super().__init__((f"{field}: " if field else "") + f"no track with key {key!r}{hint}")

    def at(self, field: str) -> "UnknownTrackError":
        """The same at another path."""
        return UnknownTrackError(self.key, self.nearest, field)


class MissingEmbeddingError(RetrievalError):
    """A track that has no embedding in the asked space."""


class IndexMissingError(RetrievalError):
    """A space without an index snapshot."""


class IndexMismatchError(RetrievalError):
    """An index snapshot whose manifest or files are not what was expected; both values are named."""


class QueryError(RetrievalError):
    """A query that cannot be run as asked.

    Attributes
    ----------
    field : path of the offending field, for example ``filter.must[0].key``
    reason : what is wrong with it
    accepted : what would be accepted, or empty
    """

    def __init__(self, field: str, reason: str, accepted: str = "") -> None:
        self.field = field
        self.reason = reason
        self.accepted = accepted
        super().__init__(f"{field}: {reason}" + (f"; accepted: {accepted}" if accepted else ""))

    def at(self, field: str) -> "QueryError":
        """The same at another path."""
        return QueryError(field, self.reason, self.accepted)


class StaleCursorError(RetrievalError):
    """A page that was asked for after the index had changed."""


class FilterError(QueryError):
    """A filter that names an unknown key or is malformed."""
