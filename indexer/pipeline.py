"""The pipeline: scan → decode → stages (segment → encode → pool, and others) → store; the index follows by revision.

Files are decoded by child processes, a thread each, a few tracks ahead of the one thread that encodes and stores.
Stages that work track by track run in those threads; from the first that takes several together, they run over batches.
A track is one transaction, idempotent on content hash and the stages' versions, so a run that was cut short goes on
where it stopped. A file that fails is recorded with the step and the reason; what only an analysis of it fails in comes
in without that one, which is recorded too, and runs again the next time.
"""

from __future__ import annotations

from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from queue import SimpleQueue
from typing import TYPE_CHECKING, Protocol, TypeVar

from encoders.media.decoder_process import DecoderProcess
from indexer.errors import CopyError, IgnoredFileError, StageError
from indexer.identity import KnownTracks, Movers, with_known
from indexer.stages.stage import outdated
from indexer.track import DecodedTrack, Outcome, TrackStore, analysis_of, lacking, prepare, run_stages, store
from retrieval.errors import PlaceTakenError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from encoders.media.decoded import DecodedAudio, MediaLimits
    from indexer.scan import ScannedFile
    from indexer.stages.stage import Stage
    from indexer.track import Decoder
    from retrieval.catalog.files.known import StoredTrack

Item = TypeVar("Item")
Result = TypeVar("Result")


class Tracks(KnownTracks, TrackStore, Protocol):
    """Where what is known of tracks stands, and what is found out goes: a catalogue."""


def ingest(
    files: Iterable[ScannedFile],
    stages: Sequence[Stage],
    catalog: Tracks,
    *,
    limits: MediaLimits,
    decode_threads: int,
    rescan: bool = False,
) -> Iterator[Outcome]:
    """Bring files into the catalogue, and say what became of each, in the order in which they came.

    Parameters
    ----------
    rescan : read files that seem to be as they were, too

    Raises
    ------
    sqlalchemy.exc.OperationalError
        If the database is lost: that is no fault of the file.
    """
    with (
        _decoder_processes(decode_threads, limits) as decoder,
        ThreadPoolExecutor(decode_threads, thread_name_prefix="decode") as threads,
    ):
        movers = Movers(catalog)

        def decoded(item: tuple[ScannedFile, StoredTrack | None]) -> DecodedTrack | Outcome:
            file, known = item
            try:
                if known is not None and not rescan and _is_current(known, file, stages):
                    return Outcome(file, "unchanged")
                return prepare(file, stages, decoder, known=known, movers=movers)
            except CopyError:
                return Outcome(file, "copy")
            except IgnoredFileError:
                return Outcome(file, "ignored")
            except StageError as error:
                return _failed(file, error)

        try:
            for batch in _batches(_ahead(threads, decoded, with_known(files, catalog), depth=decode_threads + 1)):
                analysed = iter(run_stages(stages, [track for track in batch if isinstance(track, DecodedTrack)]))
                for item in batch:
                    yield item if isinstance(item, Outcome) else _finished(item.file, next(analysed), catalog)
        finally:
            threads.shutdown(cancel_futures=True)


def _finished(file: ScannedFile, track: DecodedTrack | StageError, catalog: Tracks) -> Outcome:
    try:
        if isinstance(track, StageError):
            raise track
        stage, reason = lacking(track)
        if stage and reason and not track.results:
            raise StageError(stage, reason)
        return store(replace(analysis_of(track), alone=True), catalog, track)
    except PlaceTakenError:  # by who indexes the same file at the same time
        return Outcome(file, "unchanged")
    except StageError as error:
        return _failed(file, error)


def _failed(file: ScannedFile, error: StageError) -> Outcome:
    return Outcome(file, "failed", stage=error.stage, reason=error.reason)


def _is_current(known: StoredTrack, file: ScannedFile, stages: Sequence[Stage]) -> bool:
    """Whether the file need not even be read: same place, size and times, and all that can be known of it is stored."""
    if known.missing or known.ignored or known.audio_hash is None or known.uri != file.uri:
        return False
    same_size = (known.size_bytes, known.modified_ns) == (file.size_bytes, file.modified_ns)
    return same_size and known.changed_ns in (None, file.changed_ns) and not outdated(stages, known.analyses)


def _batches(items: Iterable[DecodedTrack | Outcome]) -> Iterator[list[DecodedTrack | Outcome]]:
    """Items in their order, as much audio together as the stages want; an outcome waits only behind a track."""
    batch: list[DecodedTrack | Outcome] = []
    audio_s = batch_s = 0.0
    for item in items:
        batch.append(item)
        if isinstance(item, DecodedTrack) and item.waiting:
            audio_s += item.audio.duration_s
            batch_s = max(batch_s, *(stage.batch_s for stage in item.waiting))
        if audio_s >= batch_s:
            yield batch
            batch, audio_s, batch_s = [], 0.0, 0.0
    if batch:
        yield batch


@contextmanager
def _decoder_processes(count: int, limits: MediaLimits) -> Iterator[Decoder]:
    """A decoder for so many threads at a time, each with a child process to itself."""
    with ExitStack() as opened:
        decoder = _Processes(SimpleQueue(), limits)
        for _ in range(count):
            decoder.idle.put(opened.enter_context(DecoderProcess()))
        yield decoder


@dataclass(frozen=True)
class _Processes:
    idle: SimpleQueue[DecoderProcess]
    limits: MediaLimits

    def decode(self, file: ScannedFile, sample_rates: Sequence[int]) -> DecodedAudio:
        with self._one() as process:
            return process.decode(file.path, sample_rates=sample_rates, limits=self.limits)

    def identify(self, file: ScannedFile) -> str:
        with self._one() as process:
            return process.identify(file.path)

    def comments(self, file: ScannedFile) -> Mapping[str, str]:
        with self._one() as process:
            return process.comments(file.path)

    @contextmanager
    def _one(self) -> Iterator[DecoderProcess]:
        process = self.idle.get()
        try:
            yield process
        finally:
            self.idle.put(process)


def _ahead(
    threads: ThreadPoolExecutor, work: Callable[[Item], Result], items: Iterable[Item], *, depth: int
) -> Iterator[Result]:
    """Results of `work` in order, at most `depth` items ahead of the consumer."""
    running: deque[Future[Result]] = deque()
    for item in items:
        running.append(threads.submit(work, item))
        if len(running) > depth:
            yield running.popleft().result()
    while running:
        yield running.popleft().result()
