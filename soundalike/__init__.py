"""Music search that listens, from Python.

import soundalike

with soundalike.open() as music:
    music.index("~/Music")
    for result in music.similar("Music/Artist/Song.mp3", limit=5).results:
        print(f"{result.score:.3f}", result.track.key)

What takes its time, such as networks, is loaded by the first call that needs it. Everything that a query can say stands
in `Query`, `Seed`, `Diversity` and `QueueContext`; every error is one of `Error`.
"""

from api.documents.wellformed import DocumentError
from encoders.errors import EncoderError, MediaError
from indexer.errors import IndexerError
from retrieval.errors import (
    DatabaseUnavailableError,
    FilterError,
    IndexMissingError,
    QueryError,
    RetrievalError,
    UnknownTrackError,
)
from retrieval.search.query import Answer, Diversity, Query, QueueContext, Result, Seed
from soundalike.catalogue import Catalogue, SettingsError, filter, open

Error = (RetrievalError, EncoderError, IndexerError, DocumentError, SettingsError)
"""What `except` takes for every error that is raised on purpose."""

__all__ = [
    "Answer",
    "Catalogue",
    "DatabaseUnavailableError",
    "Diversity",
    "DocumentError",
    "EncoderError",
    "Error",
    "FilterError",
    "IndexMissingError",
    "IndexerError",
    "MediaError",
    "Query",
    "QueryError",
    "QueueContext",
    "Result",
    "RetrievalError",
    "Seed",
    "SettingsError",
    "UnknownTrackError",
    "filter",
    "open",
]
