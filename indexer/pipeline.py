"""The pipeline: scan → decode → segment → encode → pool → store, and the index follows by revision.

Files are decoded and segmented by threads (the decoder works outside the interpreter's lock) a few tracks ahead of the
one thread that encodes and stores. Windows of several tracks are encoded together, so that no batch and no core is left
half empty at the end of each. A track is one transaction, idempotent on content hash and encoder versions, so a
run that was cut short goes on where it stopped. A file that fails is recorded with the stage and the reason.
"""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from sqlalchemy.exc import InterfaceError, OperationalError

from encoders.checkpoints.sha256 import sha256_file
from encoders.errors import MediaError
from encoders.media import fingerprint
from encoders.media.decode import DecodedAudio, MediaLimits, decode
from encoders.media.segments import pool
from indexer.errors import StageError
from indexer.scan import ScannedFile
from indexer.sidecars import read_track_tags
from indexer.stages.embedding import Encoded, Outcome, Prepared, encode_together, grouped
from retrieval.catalog.records import SpaceEmbedding, StoredTrack, TrackAnalysis

if TYPE_CHECKING:
    from encoders.encoder import Encoder, Encoding
    from retrieval.catalog.reading import Catalog

logger = logging.getLogger(__name__)

TAG_FLOOR = 0.01  # a tagger's score below it is noise and is not stored

Item = TypeVar("Item")
Result = TypeVar("Result")
Decoder = Callable[[ScannedFile, Sequence[int]], DecodedAudio]


def ingest(
    files: Iterable[ScannedFile],
    encoders: Sequence[Encoder],
    catalog: Catalog,
    *,
    limits: MediaLimits,
    decode_threads: int,
) -> Iterator[Outcome]:
    """Bring files into the catalogue, and say what became of each, in the order in which they came.

    Raises
    ------
    sqlalchemy.exc.OperationalError
        If the database is lost: that is no fault of the file.
    """
    stored = catalog.stored_tracks()
    if not fingerprint.is_available():
        logger.info("no fingerprints: pip install 'soundalike[fingerprints]', and libchromaprint from your system")

    def decode_file(file: ScannedFile, sample_rates: Sequence[int]) -> DecodedAudio:
        return decode(file.path, sample_rates=sample_rates, limits=limits)

    def prepared(file: ScannedFile) -> Prepared | Outcome:
        known = stored.get(file.key)
        if known is not None and is_current(known, file, encoders):
            return Outcome(file, "unchanged")
        try:
            _check_key(file, known)
            return prepare(file, encoders, decode_file, known=known)
        except StageError as error:
            return Outcome(file, "failed", stage=error.stage, reason=error.reason)

    with ThreadPoolExecutor(decode_threads, thread_name_prefix="decode") as threads:
        try:
            for group in grouped(_ahead(threads, prepared, files, depth=decode_threads + 1)):
                encoded = encode_together([item for item in group if isinstance(item, Prepared)], encoders)
                for item in group:
                    yield item if isinstance(item, Outcome) else _finish(item, encoders, catalog, next(encoded))
        finally:
            threads.shutdown(cancel_futures=True)


def is_current(known: StoredTrack, file: ScannedFile, encoders: Sequence[Encoder]) -> bool:
    """Whether the file need not even be read: same place, size and time, and all that can be known of it is stored."""
    same_file = (known.uri, known.size_bytes, known.modified_ns) == (file.uri, file.size_bytes, file.modified_ns)
    return same_file and not _missing(known, encoders) and not _lacks_fingerprint(known)


def prepare(
    file: ScannedFile, encoders: Sequence[Encoder], decoder: Decoder, *, known: StoredTrack | None = None
) -> Prepared:
    """Hash, decode and segment one file for the encoders that it still needs, and take its fingerprint.

    Raises
    ------
    StageError
        With the stage and the reason.
    """
    seconds: dict[str, float] = {}
    with _stage("scan", seconds):
        content_hash = sha256_file(file.path)
        tags = read_track_tags(file.path)
    same = known if known is not None and known.content_hash == content_hash else None
    needed = encoders if same is None else _missing(same, encoders)
    rates = {encoder.spec.sample_rate for encoder in needed}
    if _lacks_fingerprint(same) and not rates:
        rates.add(fingerprint.SAMPLE_RATE)
    if same is not None and not rates:
        return Prepared(file, content_hash, tags, same.duration_s, {}, seconds)
    with _stage("decode", seconds):
        audio = decoder(file, sorted(rates))
    with _stage("segment", seconds):
        segments = {encoder.spec.name: encoder.segment(audio.waveforms[encoder.spec.sample_rate]) for encoder in needed}
    words = None
    if _lacks_fingerprint(same):
        with _stage("fingerprint", seconds):
            words = fingerprint.fingerprint(audio.waveforms[min(rates)], min(rates))
    return Prepared(file, content_hash, tags, audio.duration_s, segments, seconds, words)


def analyse(
    prepared: Prepared, encoders: Sequence[Encoder], encoded: Encoded | None = None
) -> tuple[TrackAnalysis, dict[str, float]]:
    """Encode and pool one prepared file; returns what to store, and the seconds by stage.

    The first encoder that tags gives the tags. What was encoded before is not encoded again.

    Raises
    ------
    StageError
        With the stage and the reason.
    """
    seconds = dict(prepared.seconds)
    before: Mapping[str, Encoding] = {}
    if encoded is not None:
        before, seconds["encode"] = encoded.encodings, encoded.seconds
    spaces: list[SpaceEmbedding] = []
    tags: dict[str, float] | None = None
    for encoder in encoders:
        segments = prepared.segments.get(encoder.spec.name)
        if segments is None:
            continue
        with _stage("encode", seconds):
            encoding = before.get(encoder.spec.name) or encoder.encode(segments.windows)
        with _stage("pool", seconds):
            track_vector = pool(encoding.embeddings)
            if tags is None and encoder.spec.tags:
                tags = {tag: score for tag, score in encoder.tags(encoding).items() if score >= TAG_FLOOR}
        ends_s = (segments.starts_s + encoder.spec.window_s).clip(max=prepared.duration_s)
        spaces.append(
            SpaceEmbedding(
                encoder.spec.name, encoder.version, track_vector, encoding.embeddings, segments.starts_s, ends_s
            )
        )
    file, own = prepared.file, prepared.tags
    analysis = TrackAnalysis(
        key=file.key,
        uri=file.uri,
        content_hash=prepared.content_hash,
        size_bytes=file.size_bytes,
        modified_ns=file.modified_ns,
        duration_s=prepared.duration_s,
        title=own.title,
        artist=own.artist,
        album=own.album,
        genre=own.genre,
        year=own.year,
        spaces=spaces,
        tags=tags,
        fingerprint=prepared.fingerprint,
    )
    return analysis, seconds


def analyses_anything(analysis: TrackAnalysis) -> bool:
    """Whether there is anything in it that was not known of the audio."""
    return bool(analysis.spaces) or analysis.fingerprint is not None


def store(analysis: TrackAnalysis, catalog: Catalog, seconds: dict[str, float]) -> None:
    """Write one analysis in one transaction; a lost database is raised as it is.

    Raises
    ------
    StageError
        If the database refuses the data.
    """
    with _stage("store", seconds):
        catalog.store(analysis)


def _finish(prepared: Prepared, encoders: Sequence[Encoder], catalog: Catalog, encoded: Encoded) -> Outcome:
    try:
        analysis, seconds = analyse(prepared, encoders, encoded)
        store(analysis, catalog, seconds)
    except StageError as error:
        return Outcome(prepared.file, "failed", stage=error.stage, reason=error.reason)
    status = "indexed" if analyses_anything(analysis) else "unchanged"
    return Outcome(prepared.file, status, duration_s=prepared.duration_s, seconds=seconds)


def _missing(known: StoredTrack, encoders: Sequence[Encoder]) -> list[Encoder]:
    return [encoder for encoder in encoders if known.encoder_versions.get(encoder.spec.name) != encoder.version]


def _lacks_fingerprint(known: StoredTrack | None) -> bool:
    """Whether there is one to compute; of tracks from before the library was installed, too."""
    return fingerprint.is_available() and not (known is not None and known.has_fingerprint)


def _check_key(file: ScannedFile, known: StoredTrack | None) -> None:
    if known is not None and known.uri != file.uri and Path(known.uri).exists():
        raise StageError("scan", f"key {file.key!r} belongs to {known.uri}: index this folder with --key-prefix")


@contextmanager
def _stage(name: str, seconds: dict[str, float]) -> Iterator[None]:
    """Time a stage, and turn whatever a file does to it into one line: the pipeline goes on with the next file."""
    start = time.perf_counter()
    try:
        yield
    except (OperationalError, InterfaceError):
        raise
    except MediaError as error:
        raise StageError(name, error.reason) from error
    except FileNotFoundError as error:
        raise StageError(name, "the file has vanished") from error
    except Exception as error:
        if _hides_an_interrupt(error):
            raise KeyboardInterrupt from error
        logger.debug("stage %s failed", name, exc_info=True)
        raise StageError(name, f"{type(error).__name__}: {error}".splitlines()[0]) from error
    finally:
        seconds[name] = seconds.get(name, 0.0) + time.perf_counter() - start


def _hides_an_interrupt(error: BaseException | None) -> bool:
    """Whether a Ctrl-C was being handled when this happened, as when a driver cannot clean up a busy connection."""
    while error is not None:
        if isinstance(error, KeyboardInterrupt):
            return True
        error = error.__context__
    return False


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
