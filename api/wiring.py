"""The parts, put together: what the command line, the HTTP API and a Python caller all work with.

with open_soundalike(read_settings()) as soundalike:
    soundalike.search.answer(similar("Music/song.mp3", limit=5))
"""

from __future__ import annotations

import threading
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from encoders.media.decode import decode
from encoders.media.decoder_process import decode_untrusted
from encoders.media.segments import pool
from encoders.registry import RENAMED
from indexer.jobs import IngestReport, OnOutcome, OnStart, index_folder
from retrieval.catalog.database import check_schema, connected, migrate
from retrieval.catalog.ledger import Ledger
from retrieval.catalog.reading import Catalog
from retrieval.errors import QueryError
from retrieval.index.snapshots import rename_space
from retrieval.search.engine import Search
from retrieval.search.query import Seed

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from sqlalchemy import Engine

    from api.settings import Settings
    from encoders.encoder import Encoder


class LoadedEncoders:
    """Encoders by name, each loaded at its first use and then shared between threads."""

    def __init__(self, weights_dir: Path, also: Mapping[str, str]) -> None:
        self._weights_dir = weights_dir
        self._also = also
        self._loaded: dict[str, Encoder] = {}
        self._lock = threading.Lock()

    def __call__(self, name: str) -> Encoder:
        """The encoder of this name.

        Raises
        ------
        UnknownEncoderError, MissingWeightsError, CheckpointMismatchError
        """
        from encoders.loading import load_encoder  # torch: a command that encodes nothing does not wait for it

        with self._lock:
            if name not in self._loaded:
                self._loaded[name] = load_encoder(name, weights_dir=self._weights_dir, also=self._also)
            return self._loaded[name]


@dataclass(frozen=True)
class Soundalike:
    """One catalogue with all that works on it."""

    settings: Settings
    engine: Engine
    catalog: Catalog
    ledger: Ledger
    search: Search
    encoder: LoadedEncoders

    def index_folder(
        self,
        folder: Path,
        encoders: Sequence[Encoder],
        *,
        key_prefix: str | None = None,
        on_start: OnStart = lambda total: None,
        on_outcome: OnOutcome = lambda outcome: None,
    ) -> IngestReport:
        """Bring a folder, or one file, into this catalogue: `indexer.jobs.index_folder` under these settings."""
        return index_folder(
            folder,
            encoders,
            self.search,
            self.ledger,
            limits=self.settings.media_limits,
            decode_threads=self.settings.decode_threads,
            key_prefix=key_prefix,
            on_start=on_start,
            on_outcome=on_outcome,
        )

    def seed_of(self, sound: Path | bytes, space: str | None = None, span_s: tuple[float, float] | None = None) -> Seed:
        """An example for a query in a space: the sound of a file, or what of it a span touches.

        Parameters
        ----------
        sound : a file, or the bytes of one that came from elsewhere, which is decoded under supervision

        Raises
        ------
        IndexMissingError
            If the space holds no track. It comes before the encoder: no caller's name may decide what is imported.
        MediaError
            If it cannot be decoded, or is silent.
        QueryError
            If there is no sound in the span.
        """
        encoder = self.encoder(self.search.space(space).space)
        rate, limits = encoder.spec.sample_rate, self.settings.media_limits
        if isinstance(sound, bytes):
            audio = decode_untrusted(sound, sample_rates=[rate], limits=limits)
        else:
            audio = decode(sound, sample_rates=[rate], limits=limits)
        segments = encoder.segment(audio.waveforms[rate])
        windows = segments.windows
        if span_s is not None:
            length_s = encoder.spec.window_length / encoder.spec.sample_rate
            windows = windows[(segments.starts_s < span_s[1]) & (segments.starts_s + length_s > span_s[0])]
            if not len(windows):
                last = f"0 to {segments.starts_s[-1] + length_s:.1f}, where it is not silent"
                raise QueryError("start_s", f"no sound lies in {span_s[0]}–{span_s[1]} s", last)
        encoding = encoder.encode(windows)
        return Seed(vector=pool(encoding.embeddings), tags=encoder.tags(encoding), encoder_version=encoder.version)


@contextmanager
def open_soundalike(settings: Settings, *, create: bool = False) -> Iterator[Soundalike]:
    """Connect everything; the database is closed at the end.

    Parameters
    ----------
    create : bring the schema up to date first, rather than refuse an old or empty one

    Raises
    ------
    DatabaseUnavailableError, SchemaError
    """
    with connected(settings.database_url, embedded_dir=settings.postgres_dir) as engine:
        # The embedded database is ours alone: nobody else will migrate it.
        if create or settings.database_url is None:
            migrate(engine)
        check_schema(engine)
        catalog = Catalog(engine)
        # A name that is also one of the user's own encoders stays theirs.
        renamed = {old: new for old, new in RENAMED.items() if not {old, new} & settings.encoders.keys()}
        for old, new in renamed.items():
            rename_space(settings.index_root, old, new)
        search = Search(
            catalog,
            settings.index_root,
            default_space=settings.space,
            renamed=renamed,
            recall=settings.index_recall,
        )
        encoders = LoadedEncoders(settings.weights_dir, settings.encoders)
        yield Soundalike(settings, engine, catalog, Ledger(engine), search, encoders)
