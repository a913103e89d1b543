"""A catalogue as a Python program has it: opened, fed, asked, closed."""

from __future__ import annotations

import logging
import os
from collections.abc import Collection
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, TypeVar

from api.settings import SettingsError, read_settings
from retrieval.errors import QueryError, RetrievalError
from retrieval.search.checks import check_range
from retrieval.search.query import HALF_LIFE, Query, QueueContext, Seed

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from api.wiring import Soundalike
    from indexer.jobs import IngestReport
    from retrieval.catalog.ledger import Failure
    from retrieval.catalog.records import Track
    from retrieval.filters.language import Filter
    from retrieval.search.playlists import Playlist
    from retrieval.search.query import Answer

    Name = str | os.PathLike[str]
    Conditions = Filter | Mapping[str, Any]

__all__ = ["Catalogue", "SettingsError", "filter", "open"]

N = TypeVar("N")

_MOST = 2**63 - 1

logger = logging.getLogger(__name__)


def open(
    home: Name | None = None,
    *,
    database_url: str | None = None,
    cache: Name | None = None,
    space: str | None = None,
    encoders: Mapping[str, str] | None = None,
) -> Catalogue:
    """Open a catalogue; close it, or use it in a ``with`` statement.

    What is not given is as the environment says, and its schema is brought up to date where the database is the
    embedded one.

    Parameters
    ----------
    home : its folder, made where there is none: embedded database, index, packs (``SOUNDALIKE_HOME``)
    database_url : a PostgreSQL of your own (``DATABASE_URL``)
    cache : where weights lie that are fetched or imported (``SOUNDALIKE_CACHE``)
    space : indexed and searched unless another is named (``SOUNDALIKE_SPACE``)
    encoders : encoders of your own, name of the space → ``module:attribute`` (``SOUNDALIKE_ENCODERS``)

    Raises
    ------
    SettingsError
        If the environment holds a setting that cannot be used.
    DatabaseUnavailableError, SchemaError
        If nothing answers at the address, or its schema is another version's: both messages say what to do.
    """
    from api.wiring import open_soundalike

    for name, path in (("home", home), ("cache", cache)):
        if path is not None and (not os.fspath(path) or "://" in os.fspath(path)):
            raise SettingsError(f"{name} is {os.fspath(path)!r}; accepted: a folder (an address is database_url)")
    own = None if encoders is None else ",".join(f"{name}={where}" for name, where in encoders.items())
    given = {
        "SOUNDALIKE_HOME": None if home is None else str(Path(home).expanduser()),
        "SOUNDALIKE_CACHE": None if cache is None else str(Path(cache).expanduser()),
        "DATABASE_URL": database_url,
        "SOUNDALIKE_SPACE": space,
        "SOUNDALIKE_ENCODERS": own,
    }
    settings = read_settings({**os.environ, **{name: value for name, value in given.items() if value is not None}})
    opened = ExitStack()
    return Catalogue(opened.enter_context(open_soundalike(settings)), opened)


def filter(conditions: Mapping[str, Any]) -> Filter:
    """What tracks must be to be found, as ``{"must": [{"key": "year", "range": {"gte": 1990}}]}``: docs/filters.md.

    Raises
    ------
    FilterError
        If it is none; names the place in it and what is accepted there.
    """
    from retrieval.filters.language import parse_filter

    return parse_filter(conditions)


class ClosedError(RetrievalError):
    """A catalogue that was closed."""

    def __init__(self) -> None:
        super().__init__("the catalogue is closed; open it again")


class Catalogue:
    """An opened catalogue, of `open`; safe to share between threads."""

    def __init__(self, parts: Soundalike, opened: ExitStack) -> None:
        self._parts: Soundalike | None = parts
        self._opened = opened

    @property
    def parts(self) -> Soundalike:
        """What it is made of, for what has no method here: its ``search``, ``catalog``, ``ledger``, ``settings``."""
        if self._parts is None:
            raise ClosedError
        return self._parts

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the database; the embedded server stops with its last user."""
        self._parts = None
        self._opened.close()

    def __len__(self) -> int:
        """How many tracks can be found."""
        return self.parts.catalog.count()

    def index(
        self, path: Name, *, spaces: Sequence[str] = (), key_prefix: str | None = None, rescan: bool = False
    ) -> IngestReport:
        """Bring a folder of music, or one file, into the catalogue; again, it takes only what is new or changed.

        Weights that are neither here nor shipped are fetched from the package index, once.

        Parameters
        ----------
        spaces : encoders to index with; none for the default and those beside it
        key_prefix : what keys begin with; by default the folder's name
        rescan : read every file, also where size and times say that it is as it was

        Returns
        -------
        What it came to. Files that failed are counted in ``report.counts["failed"]``, and listed with their reasons by
        `failures`.

        Raises
        ------
        ScanError
            If there is no such path, or no audio in it.
        UnknownEncoderError, MissingWeightsError, CheckpointMismatchError, QueryError
        """
        root = _name("path", path, "a folder, or a file")
        encoders = self.parts.indexing_encoders(_several("spaces", spaces, "names"), fetch=True, on_note=logger.info)
        return self.parts.index_folder(
            Path(root).expanduser(),
            encoders.every,
            of_new=encoders.of_new,
            analyses=encoders.analyses,
            key_prefix=key_prefix,
            rescan=rescan,
        )

    def failures(self, report: IngestReport | None = None) -> list[Failure]:
        """Files that did not come in, or not with all that is heard: ``uri``, ``stage``, ``reason``, ``failed_at``.

        Parameters
        ----------
        report : of `index`, for its failures alone; none for all that were not mended since
        """
        return self.parts.ledger.failures(job_id=None if report is None else report.job_id)

    def similar(
        self,
        *examples: Name,
        unlike: Sequence[Name] = (),
        filter: Conditions | None = None,
        space: str | None = None,
        **options: Any,
    ) -> Answer:
        """What sounds like tracks, or like audio files.

        Parameters
        ----------
        examples, unlike : keys of the catalogue, or files
        filter : of :func:`soundalike.filter`, or the conditions that it takes
        options : the other fields of `Query`: ``limit=5, explain=True, granularity="segment"``, …

        Returns
        -------
        Its ``results``, best first, each with ``track``, ``score`` in [0, 1] and ``rank``, and its ``stats``.

        Raises
        ------
        UnknownTrackError
            If an example is neither a key nor a file; the nearest keys are named.
        MediaError
            If a file cannot be decoded, or is silent.
        IndexMissingError, MissingEmbeddingError
            If the space holds no track, or not this one.
        QueryError, FilterError
        """
        if not examples:
            raise QueryError("examples", "is empty", "keys or files, one or more")
        positive = [self._seed(name, space) for name in examples]
        negative = [self._seed(name, space) for name in _several("unlike", unlike)]
        return self.query(Query(positive, negative, space=space, filter=_filter(filter), **options))

    def continued(
        self,
        playlist: Sequence[Name],
        *,
        half_life: float = HALF_LIFE,
        filter: Conditions | None = None,
        space: str | None = None,
        **options: Any,
    ) -> Answer:
        """What goes on where a playlist ends, without what is in it.

        Parameters
        ----------
        playlist : keys or files, oldest first
        half_life : tracks of the playlist after which an example counts half
        filter, space, options, errors : as of `similar`
        """
        if not _several("playlist", playlist):
            raise QueryError("playlist", "is empty", "keys or files, one or more")
        seeds = [self._seed(name, space) for name in playlist]
        played = QueueContext(previous=[seed.track for seed in seeds if seed.track is not None])
        rest = {"context": played, **options}
        return self.query(Query(seeds, half_life=half_life, space=space, filter=_filter(filter), **rest))

    def query(self, query: Query | Mapping[str, Any]) -> Answer:
        """Answer a query: a `Query`, or the body of ``POST /v1/query`` (docs/queries.md).

        Raises
        ------
        QueryError, FilterError, UnknownTrackError, IndexMissingError, MissingEmbeddingError, StaleCursorError
            What is wrong, by its field.
        DocumentError
            The same of a body, by the path of its field there.
        """
        if isinstance(query, Query):
            return self.parts.search.answer(query)
        from api.documents.search import SearchIn, read

        search = read(SearchIn, query)
        with search.naming_fields():
            return self.parts.search.answer(search.as_query())

    def path(self, start: Name, end: Name, *, steps: int = 10, space: str | None = None) -> Playlist:
        """A playlist that leads from one track or file to another; errors as of `similar`."""
        from retrieval.search.playlists import playlist

        first, last = self._seed(start, space), self._seed(end, space)
        return playlist(self.parts.search, first, last, steps, space=space)

    def track(self, name: Name) -> Track:
        """All that is known of a track, by its key or by where its file lies.

        Raises
        ------
        UnknownTrackError, QueryError
        """
        from api.naming import track_named

        return track_named(self.parts.catalog, _name("name", name, "a key, or a file"))

    def tracks(self, filter: Conditions | None = None, *, limit: int = 1_000, after_id: int = 0) -> list[Track]:
        """Tracks in the order in which they came in.

        Parameters
        ----------
        after_id : the ``id`` of the last track before

        Raises
        ------
        FilterError, QueryError
        """
        check_range("limit", limit, 1, _MOST, "1 or more")
        check_range("after_id", after_id, 0, _MOST, "0 or more")
        only = _filter(filter)
        condition = None if only is None else self.parts.search.selections.condition(only)
        return self.parts.catalog.list_tracks(after_id=after_id, limit=limit, condition=condition)

    def _seed(self, name: Name, space: str | None) -> Seed:
        from api.naming import seed_of

        named = _name("example", name, "a key, or a file; `query` takes a Query of any Seed")
        return seed_of(self.parts, named, None, space)


def _name(field: str, name: Name, accepted: str) -> str:
    """A name that is one: an empty one would be the working directory."""
    if not isinstance(name, str | os.PathLike) or not os.fspath(name).strip():
        raise QueryError(field, f"is {name!r}", accepted)
    return os.fspath(name)


def _several(field: str, names: Sequence[N], of: str = "keys or files") -> Sequence[N]:
    """Names that are not one name, which would be taken letter by letter."""
    if isinstance(names, str | os.PathLike) or not isinstance(names, Collection):
        raise QueryError(field, f"is {names!r}", f"a list of {of}")
    return names


def _filter(given: Conditions | None) -> Filter | None:
    from retrieval.filters.language import Filter

    return given if given is None or isinstance(given, Filter) else filter(given)
