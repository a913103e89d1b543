"""One file on its way into the catalogue: scan → decode → stages → store."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from itertools import takewhile
from typing import TYPE_CHECKING, Protocol

from encoders.checkpoints.sha256 import sha256_file
from encoders.errors import MediaError
from encoders.media.decoded import DecodedAudio
from indexer.errors import IgnoredFileError, StageError
from indexer.file_tags import FileTags, tags_of_comments
from indexer.identity import Movers, check_key
from indexer.sidecars import read_track_tags
from indexer.stages.stage import Stage, StageResult, TrackInput, outdated, step
from retrieval.catalog.records import TrackAnalysis

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from indexer.scan import ScannedFile
    from retrieval.catalog.files.known import StoredTrack


class Decoder(Protocol):
    """What opens files."""

    def decode(self, file: ScannedFile, sample_rates: Sequence[int]) -> DecodedAudio:
        """Its waveforms at these rates."""

    def identify(self, file: ScannedFile) -> str:
        """The hash of what is heard in it, whatever tags are beside it."""

    def comments(self, file: ScannedFile) -> Mapping[str, str]:
        """What its container says of it, by FFmpeg's names."""


class TrackStore(Protocol):
    """Where what is found out goes: a catalogue."""

    def store(self, analysis: TrackAnalysis) -> int:
        """Write a track in one transaction, and return its revision."""


@dataclass(frozen=True)
class Outcome:
    """What became of one file.

    Attributes
    ----------
    status : ``indexed``; where nothing had to be heard anew ``moved``, ``updated`` (what the file says of itself) or
        ``unchanged``; ``copy`` of the track of its key, whose own file is there; ``ignored``; or ``failed``
    stage, reason : where it failed, or was indexed without what these stages make
    partial : how it is known that it is a part of what it was
    dropped : stages that had run for it before its sound changed, and were not among those that ran now
    """

    file: ScannedFile
    status: str
    duration_s: float = 0.0
    stage: str | None = None
    reason: str | None = None
    seconds: Mapping[str, float] = field(default_factory=dict)
    partial: str | None = None
    dropped: Sequence[str] = ()


@dataclass(frozen=True)
class DecodedTrack:
    """A track on its way through the stages.

    Attributes
    ----------
    audio_hash : of what is heard in it; none where that cannot be told
    known : what the catalogue knew of it
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
    audio_hash: str | None = None
    known: StoredTrack | None = None
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


def prepare(
    file: ScannedFile,
    stages: Sequence[Stage],
    decoder: Decoder,
    *,
    known: StoredTrack | None = None,
    movers: Movers | None = None,
) -> DecodedTrack:
    """Hash and decode one file for the stages that it still needs, and run those that need no other track beside it.

    Parameters
    ----------
    known : what is known of its place or key
    movers : finds what was moved here, where nothing is; none: the key is the file's, whatever it held before

    Raises
    ------
    StageError
        With the step and the reason.
    CopyError, IgnoredFileError
    """
    seconds: dict[str, float] = {}
    with step("scan", seconds):
        content_hash = sha256_file(file.path)
        # Where nothing is known that it could be, decoding tells it soon enough.
        asked = known is not None or movers is not None
        audio_hash = _audio_hash(file, content_hash, decoder, known) if asked else None
        if known is None and movers is not None:
            known = movers.moved_to(file, content_hash, audio_hash)
    if known is not None and known.ignored:
        if not file.named:
            raise IgnoredFileError(file.uri)
        known = None
    if movers is not None and known is not None and known.key == file.key:
        check_key(file, known, content_hash, audio_hash)
    if file.content_hash not in (None, content_hash):
        raise StageError("scan", "the file is not the one that was indexed: run `soundalike index` over it")
    with step("scan", seconds):
        tags = file.said.or_else(read_track_tags(file.path, lambda: _of_container(file, decoder)))
    same = known if known is not None and known.sounds_as(content_hash, audio_hash) else None
    needed = outdated(stages, _versions_of(same, content_hash, tags, stages))
    if same is not None and not needed:
        audio = DecodedAudio({}, same.duration_s)
        return DecodedTrack(file, content_hash, tags, audio, needed, seconds, audio_hash, known)
    with step("decode", seconds):
        audio = decoder.decode(file, _sample_rates(needed))
    track = DecodedTrack(file, content_hash, tags, audio, needed, seconds, audio.audio_hash or audio_hash, known)
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
    said = {name: value for name, value in asdict(track.tags).items() if name != "metadata"}
    return TrackAnalysis(
        key=file.key,
        uri=file.uri,
        content_hash=track.content_hash,
        audio_hash=track.audio_hash,
        size_bytes=file.size_bytes,
        modified_ns=file.modified_ns,
        changed_ns=file.changed_ns,
        partial=track.audio.partial is not None if track.stages else None,
        notes=_notes(track.audio) if track.stages else None,
        formerly=track.known.key if track.known is not None and track.known.key != file.key else None,
        duration_s=track.audio.duration_s,
        **said,
        metadata=track.tags.metadata or {},
        rows=[row for result in track.results.values() for row in result.rows],
        stages={stage.name: stage.version for stage in recorded if stage.name in track.results},
        undone=[stage.name for stage in recorded if stage.name not in track.results],
    )


def store(analysis: TrackAnalysis, catalog: TrackStore, track: DecodedTrack) -> Outcome:
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
    stage, reason = lacking(track)
    return Outcome(
        track.file,
        _status(track),
        track.audio.duration_s,
        stage,
        reason,
        seconds,
        partial=track.audio.partial,
        dropped=_dropped(track),
    )


def lacking(track: DecodedTrack) -> tuple[str, str] | tuple[None, None]:
    """The stages that a track has nothing of though they ran, and why."""
    failures = track.failures
    if not failures:
        return None, None
    reasons = [f"{stage}: {error.reason}" for stage, error in failures.items()]
    return ", ".join(failures), "; ".join(reasons) if len(failures) > 1 else next(iter(failures.values())).reason


def _status(track: DecodedTrack) -> str:
    known = track.known
    if known is None or not known.sounds_as(track.content_hash, track.audio_hash):
        return "indexed"
    if any(known.analyses.get(stage.name) != stage.version for stage in track.stages):  # else it is for other words
        return "indexed"
    if known.uri != track.file.uri:
        return "moved"
    return "unchanged" if known.content_hash == track.content_hash else "updated"


def _dropped(track: DecodedTrack) -> list[str]:
    """What was known of another sound, and nobody was asked for of this one."""
    known = track.known
    if known is None or known.sounds_as(track.content_hash, track.audio_hash):
        return []
    return sorted(known.analyses.keys() - {stage.name for stage in track.stages})


def _notes(audio: DecodedAudio) -> list[str]:
    return [*([audio.partial] if audio.partial is not None else []), *audio.notes]


def _audio_hash(file: ScannedFile, content_hash: str, decoder: Decoder, known: StoredTrack | None) -> str | None:
    """The hash of what is heard; none where that cannot be told: decoding will say why."""
    if known is not None and known.content_hash == content_hash and known.audio_hash is not None:
        return known.audio_hash
    try:
        return decoder.identify(file)
    except MediaError:
        return None


def _of_container(file: ScannedFile, decoder: Decoder) -> FileTags:
    try:
        return tags_of_comments(decoder.comments(file))
    except MediaError:
        return FileTags()


def _versions_of(
    same: StoredTrack | None, content_hash: str, tags: FileTags, stages: Sequence[Stage]
) -> Mapping[str, str]:
    """Of the stages that ran for the sound of a file, and would not come to something else by other words."""
    if same is None:
        return {}
    reworded = same.content_hash != content_hash and (same.title, same.artist, same.album) != (
        tags.title,
        tags.artist,
        tags.album,
    )
    of_words = {stage.name for stage in stages if stage.reads_tags} if reworded else set()
    return {name: version for name, version in same.analyses.items() if name not in of_words}


def _sample_rates(stages: Sequence[Stage]) -> list[int]:
    """What to decode to: a stage that takes any rate has no say where another has."""
    particular = [stage for stage in stages if not stage.any_rate] or stages
    return sorted({rate for stage in particular for rate in stage.sample_rates})
