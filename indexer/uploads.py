"""Audio that comes in by HTTP: kept under its content hash, decoded in a child process, then the same pipeline."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from encoders.media.decoder_process import DecoderProcess, decode_untrusted
from encoders.media.kinds import AUDIO_SUFFIXES
from indexer.errors import StageError
from indexer.file_tags import FileTags
from indexer.scan import ScannedFile
from indexer.stages.embedding import EmbeddingStage, spaces_of
from indexer.stages.registry import NO_ANALYSES, Analyses, stages_with
from indexer.track import Outcome, analysis_of, prepare, run_stages, store
from retrieval.catalog.corrections import corrections_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from encoders.encoder import Encoder
    from encoders.media.decoded import DecodedAudio, MediaLimits
    from indexer.stages.stage import Stage
    from indexer.track import DecodedTrack, Decoder
    from retrieval.catalog.files.known import StoredTrack
    from retrieval.catalog.reading import Catalog
    from retrieval.catalog.records import TrackAnalysis


@dataclass(frozen=True)
class Upload:
    """A file as it came in, with what its sender says of it; what is none is taken from the file's own tags."""

    key: str
    filename: str
    content: bytes
    title: str | None = None
    artist: str | None = None
    album: str | None = None
    genre: str | None = None
    year: int | None = None
    metadata: Mapping[str, Any] | None = None


def index_upload(
    upload: Upload,
    encoders: Sequence[Encoder],
    catalog: Catalog,
    *,
    uploads_dir: Path,
    limits: MediaLimits,
    of_new: Sequence[Encoder] = (),
    analyses: Analyses = NO_ANALYSES,
    others: Callable[[str], Encoder | None] = lambda space: None,
) -> Outcome:
    """Bring one upload into the catalogue; the same content and fields again change nothing.

    What was stored under the key before stays until the new analysis is committed. Encoders `of_new` are for a new
    track, beside the others: older versions, as long as they answer; `others` are those of other spaces that held it.
    """
    file = _keep(upload, uploads_dir)
    known = catalog.stored_tracks([upload.key]).get(upload.key)
    decoder = _UploadDecoder(upload.content, limits)
    try:
        track = _heard(file, stages_with(encoders, of_new, analyses), decoder, known)
        analysis = analysis_of(track)
        analysis = replace(analysis, metadata=analysis.metadata if upload.metadata is None else upload.metadata)
        if not track.stages and _same_fields(analysis, catalog):
            return Outcome(file, "unchanged", duration_s=analysis.duration_s)
        outcome = replace(store(analysis, catalog, track), status="indexed")
        for encoder in filter(None, map(others, spaces_of(outcome.dropped))):
            again = _heard(file, [EmbeddingStage(encoder)], decoder, catalog.stored_tracks([upload.key])[upload.key])
            store(replace(analysis_of(again), metadata=analysis.metadata), catalog, again)
    except StageError as error:
        discard_audio(file.uri, catalog, uploads_dir=uploads_dir)
        return Outcome(file, "failed", stage=error.stage, reason=error.reason)
    if known is not None:
        discard_audio(known.uri, catalog, uploads_dir=uploads_dir)
    return outcome


def _heard(file: ScannedFile, stages: Sequence[Stage], decoder: Decoder, known: StoredTrack | None) -> DecodedTrack:
    (track,) = run_stages(stages, [prepare(file, stages, decoder, known=known)])
    if isinstance(track, StageError):
        raise track
    return track


@dataclass(frozen=True)
class _UploadDecoder:
    content: bytes
    limits: MediaLimits

    def decode(self, file: ScannedFile, sample_rates: Sequence[int]) -> DecodedAudio:
        return decode_untrusted(self.content, sample_rates=sample_rates, limits=self.limits)

    def identify(self, file: ScannedFile) -> str:
        with DecoderProcess() as process:
            return process.identify(self.content)

    def comments(self, file: ScannedFile) -> Mapping[str, str]:
        with DecoderProcess() as process:
            return process.comments(self.content)


def discard_audio(uri: str, catalog: Catalog, *, uploads_dir: Path) -> None:
    """Remove an uploaded file that no live track points to; files from elsewhere are never touched."""
    path = Path(uri)
    if path.is_relative_to(uploads_dir) and catalog.track_at(uri) is None:
        path.unlink(missing_ok=True)


def _keep(upload: Upload, uploads_dir: Path) -> ScannedFile:
    suffix = Path(upload.filename).suffix.lower()
    content_hash = hashlib.sha256(upload.content).hexdigest()
    path = uploads_dir / content_hash[:2] / (content_hash + (suffix if suffix in AUDIO_SUFFIXES else ""))
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f".{path.name}.{os.getpid()}-{id(upload)}")
        temporary.write_bytes(upload.content)
        temporary.rename(path)
    stat = path.stat()
    said = FileTags(upload.title, upload.artist, upload.album, upload.genre, upload.year)
    return ScannedFile(path, upload.key, stat.st_size, stat.st_mtime_ns, said=said, named=True)


def _same_fields(analysis: TrackAnalysis, catalog: Catalog) -> bool:
    """Whether the track was stored with these fields, whatever a curator has said of them since."""
    track = catalog.track(analysis.key)
    corrected = corrections_of(catalog.engine, track.id)
    names = ("uri", "title", "artist", "album", "genre", "year", "metadata")
    stored = {name: corrected[name].instead_of if name in corrected else getattr(track, name) for name in names}
    return all(value == getattr(analysis, name) for name, value in stored.items())
