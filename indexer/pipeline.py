"""The pipeline: scan → decode → stages (segment → encode → pool, and others) → store; the index follows by revision.

Files are decoded by child processes, a thread each, a few tracks ahead of the one thread that encodes and stores.
Stages that work track by track run in those threads; from the first that takes several together, they run over batches.
A track is one transaction, idempotent on content hash and the stages' versions, so a run that was cut short goes on
where it stopped. A file that fails is recorded with the step and the reason; what only an analysis of it fails in comes
in without that one, which is recorded too, and runs again the next time.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field, replace
from itertools import islice, takewhile
from pathlib import Path
from queue import SimpleQueue
from typing import TYPE_CHECKING, Protocol, TypeVar

from encoders.checkpoints.sha256 import sha256_file
from encoders.media.decode import DecodedAudio, MediaLimits
from encoders.media.decoder_process import DecoderProcess
from indexer.errors import StageError
from indexer.scan import ScannedFile
from indexer.sidecars import read_track_tags
from indexer.stages.stage import Stage, StageResult, TrackInput, outdated, step
from retrieval.catalog.records import StoredTrack, TrackAnalysis

if TYPE_CHECKING:
    from indexer.file_tags import FileTags

KEYS_AT_ONCE = 1_000

Item = TypeVar("Item")
Result = TypeVar("Result")
Decoder = Callable[[ScannedFile, Sequence[int]], DecodedAudio]


class Tracks(Protocol):
    """Where what is known of tracks stands, and what is found out goes: a catalogue."""

    def stored_tracks(self, keys: Sequence[str]) -> dict[str, StoredTrack]:
        """What is known of tracks, by key."""

    def store(self, analysis: TrackAnalysis) -> int:
        """Write a track in one transaction, and return its revision."""


@dataclass(frozen=True)
class Outcome:
    """What became of one file: ``indexed``, ``unchanged`` or ``failed``.

    With stage and reason where it failed, or was indexed without what these stages make.
    """

    file: ScannedFile
    status: str
    duration_s: float = 0.0
    stage: str | None = None
    reason: str | None = None
    seconds: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class DecodedTrack:
    """A track on its way through the stages.

    Attributes
    ----------
    stages : what is to be made of it; nothing where all is known of its audio, which is not decoded then
    results : what was made of it, by stage
    seconds : of what came before the stages, by step
    failures : why it has nothing of some stages, by stage
    """

    file: ScannedFile
    content_hash: str
    tags: FileTags
    audio: DecodedAudio
    stages: Sequence[Stage]
    seconds: Mapping[str, float]
    results: Mapping[str, StageResult] = field(default_factory=dict)
    failures: Mapping[str, StageError] = field(default_factory=dict)

    @property
    def waiting(self) -> list[Stage]:
        """The stages that are still to run; none that needs what failed."""
        missing = set(self.failures)
        for stage in self.stages:
            if not missing.isdisjoint(stage.needs):
                missing.add(stage.name)
        return [stage for stage in self.stages if stage.name not in self.results and stage.name not in missing]

    @property
    def as_input(self) -> TrackInput:
        """The track as the next stage gets it."""
        return TrackInput(self.audio, self.results, self.tags, self.file.path)


def ingest(
    files: Iterable[ScannedFile], stages: Sequence[Stage], catalog: Tracks, *, limits: MediaLimits, decode_threads: int
) -> Iterator[Outcome]:
    """Bring files into the catalogue, and say what became of each, in the order in which they came.

    Raises
    ------
    sqlalchemy.exc.OperationalError
        If the database is lost: that is no fault of the file.
    """
    with (
        _decoder_processes(decode_threads, limits) as decoder,
        ThreadPoolExecutor(decode_threads, thread_name_prefix="decode") as threads,
    ):

        def decoded(item: tuple[ScannedFile, StoredTrack | None]) -> DecodedTrack | Outcome:
            file, known = item
            try:
                if known is not None and _is_current(known, file, stages):
                    return Outcome(file, "unchanged")
                _check_key(file, known)
                return prepare(file, stages, decoder, known=known)
            except StageError as error:
                return _failed(file, error)

        try:
            for batch in _batches(_ahead(threads, decoded, _with_known(files, catalog), depth=decode_threads + 1)):
                analysed = iter(run_stages(stages, [track for track in batch if isinstance(track, DecodedTrack)]))
                for item in batch:
                    yield item if isinstance(item, Outcome) else _finished(item.file, next(analysed), catalog)
        finally:
            threads.shutdown(cancel_futures=True)


def prepare(
    file: ScannedFile,
    stages: Sequence[Stage],
    decoder: Decoder,
    *,
    known: StoredTrack | None = None,
) -> DecodedTrack:
    """Hash and decode one file for the stages that it still needs, and run those that need no other track beside it.

    Raises
    ------
    StageError
        With the step and the reason.
    """
    seconds: dict[str, float] = {}
    with step("scan", seconds):
        content_hash = sha256_file(file.path)
        tags = file.said.or_else(read_track_tags(file.path))
    if file.content_hash not in (None, content_hash):
        raise StageError("scan", "the file is not the one that was indexed: run `soundalike index` over it")
    same = known if known is not None and known.content_hash == content_hash else None
    needed = outdated(stages, same.analyses if same else {})
    if same is not None and not needed:
        return DecodedTrack(file, content_hash, tags, DecodedAudio({}, same.duration_s), needed, seconds)
    with step("decode", seconds):
        audio = decoder(file, _sample_rates(needed))
    track = DecodedTrack(file, content_hash, tags, audio, needed, seconds)
    (analysed,) = run_stages(list(takewhile(lambda stage: not stage.batch_s, needed)), [track])
    if isinstance(analysed, StageError):
        raise analysed
    return analysed


def run_stages(stages: Sequence[Stage], tracks: Sequence[DecodedTrack]) -> list[DecodedTrack | StageError]:
    """Run each stage over the tracks that wait for it; a track that fails in one goes no further, unless it may."""
    results: list[DecodedTrack | StageError] = list(tracks)
    for stage in stages:
        waiting = {
            number: track
            for number, track in enumerate(results)
            if isinstance(track, DecodedTrack) and stage in track.waiting
        }
        if not waiting:
            continue
        ran = stage.run([track.as_input for track in waiting.values()])
        for (number, track), result in zip(waiting.items(), ran, strict=True):
            if isinstance(result, StageError):
                failures = {**track.failures, stage.name: result}
                results[number] = replace(track, failures=failures) if stage.may_fail else result
            else:
                results[number] = replace(track, results={**track.results, stage.name: result})
    return results


def analysis_of(track: DecodedTrack) -> TrackAnalysis:
    """All that is known of the track now, as the catalogue takes it."""
    file, recorded = track.file, [stage for stage in track.stages if stage.beside is None]
    return TrackAnalysis(
        key=file.key,
        uri=file.uri,
        content_hash=track.content_hash,
        size_bytes=file.size_bytes,
        modified_ns=file.modified_ns,
        duration_s=track.audio.duration_s,
        **asdict(track.tags),
        rows=[row for result in track.results.values() for row in result.rows],
        stages={stage.name: stage.version for stage in recorded if stage.name in track.results},
        undone=[stage.name for stage in recorded if stage.name not in track.results],
    )


def store(analysis: TrackAnalysis, catalog: Tracks, track: DecodedTrack) -> Outcome:
    """Write one track's analysis in one transaction.

    Raises
    ------
    StageError
        If the database refuses the data.
    """
    seconds = dict(track.seconds)
    for result in track.results.values():
        for name, spent_s in result.seconds.items():
            seconds[name] = seconds.get(name, 0.0) + spent_s
    with step("store", seconds):
        catalog.store(analysis)
    stage, reason = _lacking(track)
    return Outcome(track.file, "indexed", track.audio.duration_s, stage, reason, seconds)


def _finished(file: ScannedFile, track: DecodedTrack | StageError, catalog: Tracks) -> Outcome:
    try:
        if isinstance(track, StageError):
            raise track
        stage, reason = _lacking(track)
        if stage and reason and not track.results:
            raise StageError(stage, reason)
        outcome = store(analysis_of(track), catalog, track)
    except StageError as error:
        return _failed(file, error)
    return outcome if track.stages else replace(outcome, status="unchanged")


def _failed(file: ScannedFile, error: StageError) -> Outcome:
    return Outcome(file, "failed", stage=error.stage, reason=error.reason)


def _lacking(track: DecodedTrack) -> tuple[str, str] | tuple[None, None]:
    """The stages that a track has nothing of though they ran, and why."""
    failures = track.failures
    if not failures:
        return None, None
    reasons = [f"{stage}: {error.reason}" for stage, error in failures.items()]
    return ", ".join(failures), "; ".join(reasons) if len(failures) > 1 else next(iter(failures.values())).reason


def _is_current(known: StoredTrack, file: ScannedFile, stages: Sequence[Stage]) -> bool:
    """Whether the file need not even be read: same place, size and time, and all that can be known of it is stored."""
    same_file = (known.uri, known.size_bytes, known.modified_ns) == (file.uri, file.size_bytes, file.modified_ns)
    return same_file and not outdated(stages, known.analyses)


def _check_key(file: ScannedFile, known: StoredTrack | None) -> None:
    if known is not None and known.uri != file.uri and Path(known.uri).exists():
        raise StageError("scan", f"key {file.key!r} belongs to {known.uri}: index this folder with --key-prefix")


def _sample_rates(stages: Sequence[Stage]) -> list[int]:
    """What to decode to: a stage that takes any rate has no say where another has."""
    particular = [stage for stage in stages if not stage.any_rate] or stages
    return sorted({rate for stage in particular for rate in stage.sample_rates})


def _with_known(files: Iterable[ScannedFile], catalog: Tracks) -> Iterator[tuple[ScannedFile, StoredTrack | None]]:
    """Each file with what the catalogue knows of its key: asked for some files at a time, while others come in."""
    remaining = iter(files)
    while some := list(islice(remaining, KEYS_AT_ONCE)):
        known = catalog.stored_tracks([file.key for file in some])
        yield from ((file, known.get(file.key)) for file in some)


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
        idle: SimpleQueue[DecoderProcess] = SimpleQueue()
        for _ in range(count):
            idle.put(opened.enter_context(DecoderProcess()))

        def decode(file: ScannedFile, sample_rates: Sequence[int]) -> DecodedAudio:
            process = idle.get()
            try:
                return process.decode(file.path, sample_rates=sample_rates, limits=limits)
            finally:
                idle.put(process)

        yield decode


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
