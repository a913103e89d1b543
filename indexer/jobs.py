"""Work over many tracks as a job, with its ledger of failures: what comes in, and what is analysed again.

At a job's end the indexes are brought up to date.
"""

from __future__ import annotations

import os
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, get_args

from indexer.errors import ScanError
from indexer.file_tags import FileTags
from indexer.pipeline import ingest
from indexer.roots import check_root, what_stays
from indexer.scan import ScannedFile, absolute, scan
from indexer.stages.embedding import EmbeddingStage, spaces_of
from indexer.stages.registry import NO_ANALYSES, Analyses, named_stages, stages_with
from indexer.track import Outcome
from retrieval.catalog.files.presence import tracks_under
from retrieval.catalog.records import Granularity, TrackAnalysis
from retrieval.catalog.writing.tracks import store_again
from retrieval.index.merging import merge_if_due

if TYPE_CHECKING:
    from encoders.encoder import Encoder
    from encoders.media.decoded import MediaLimits
    from indexer.stages.stage import Stage
    from retrieval.catalog.files.known import StoredTrack
    from retrieval.catalog.ledger import Ledger
    from retrieval.catalog.reading import Catalog
    from retrieval.catalog.records import Track
    from retrieval.search.engine import Search

OnStart = Callable[[int], None]
OnOutcome = Callable[[Outcome], None]

TRACKS_AT_ONCE = 1_000


@dataclass(frozen=True)
class IngestReport:
    """What one job came to.

    Attributes
    ----------
    counts : files by outcome: ``indexed``, ``unchanged``, ``failed``, and where there are any ``moved``, ``updated``,
        ``copy``, ``ignored`` and ``missing``; those that were indexed without what some stage makes are among the
        first, and their failures in the ledger
    seconds : work by stage, summed over threads
    skipped : files that were left out, by the reason
    partial : of the files that came in, those that are a part of what they were, and how that is known
    dropped : what tracks had of a sound that has changed since, and have not of the new one, by stage: keys
    """

    job_id: int
    counts: Mapping[str, int]
    audio_s: float
    seconds: Mapping[str, float]
    skipped: Mapping[str, Sequence[str]] = field(default_factory=dict)
    partial: Mapping[str, str] = field(default_factory=dict)
    dropped: Mapping[str, Sequence[str]] = field(default_factory=dict)


def index_folder(
    root: Path,
    encoders: Sequence[Encoder],
    search: Search,
    ledger: Ledger,
    *,
    limits: MediaLimits,
    decode_threads: int,
    of_new: Sequence[Encoder] = (),
    analyses: Analyses = NO_ANALYSES,
    others: Callable[[str], Encoder | None] = lambda space: None,
    key_prefix: str | None = None,
    rescan: bool = False,
    on_start: OnStart = lambda total: None,
    on_outcome: OnOutcome = lambda outcome: None,
) -> IngestReport:
    """Bring every audio file under `root` into the catalogue and its index.

    Tracks whose files were under it and are not there any more are left out of answers until they are there again; an
    empty or absent root says nothing of them.

    Parameters
    ----------
    of_new : encoders for new tracks, beside the others: older versions, as long as they answer
    analyses : what else listens to them
    others : the encoders of other spaces, for tracks that these held before their sound changed
    rescan : read files that seem to be as they were, too
    on_start : called with the number of files
    on_outcome : called after each file

    Raises
    ------
    ScanError
        If `root` does not exist or holds no audio.
    KeyboardInterrupt
        When interrupted; what was stored stays, the job is closed as interrupted, and the next run goes on from there.
    """
    again: list[Encoder] = []
    with _job(ledger, "index", str(absolute(root))) as job:
        roots = [root.expanduser().resolve()]
        check_root(root, search.catalog)
        try:
            files = scan(
                root, key_prefix=key_prefix, on_error=job.failed_in_scan, on_skip=job.skip, on_link=roots.append
            )
        except ScanError as error:
            raise ScanError(f"{error}{what_stays(root, search.catalog)}") from error
        on_start(len(files))
        stages = stages_with(encoders, of_new, analyses)
        bring_in = partial(ingest, catalog=search.catalog, limits=limits, decode_threads=decode_threads)
        for outcome in bring_in(files, stages, rescan=rescan):
            job.take(outcome)
            on_outcome(outcome)
        for encoder in filter(None, map(others, spaces_of(list(job.dropped)))):
            stage = EmbeddingStage(encoder)
            heard = bring_in(job.dropped[stage.name], [stage])
            job.dropped[stage.name] = [outcome.file for outcome in heard if outcome.status == "failed"]
            again.append(encoder)
        _miss(files, roots, search.catalog, job)
        _forget_failures(roots[0], ledger, job)
    _update_indexes([*encoders, *again], search)
    return job.report


def analyse_again(
    stages: Sequence[Stage],
    names: Collection[str],
    search: Search,
    ledger: Ledger,
    *,
    limits: MediaLimits,
    decode_threads: int,
    keys: Sequence[str] | None = None,
    force: bool = False,
    on_start: OnStart = lambda total: None,
    on_outcome: OnOutcome = lambda outcome: None,
) -> IngestReport:
    """Run stages, from their files, for tracks that lack what these make, or have it of another version.

    Parameters
    ----------
    stages : all that there are, not those alone that are to run
    names : of those to run; what they need of others is run with them, and what is made from them is left to run again
    keys : of the tracks; none: all that the catalogue holds
    force : run them for all of these tracks
    on_start, on_outcome : as :func:`index_folder` has them

    Raises
    ------
    UnknownTrackError
        If there is no track of a key; nothing is done then.
    KeyboardInterrupt
        As :func:`index_folder` has it.
    """
    catalog, chosen = search.catalog, named_stages(stages, names)
    running = frozenset(stage.name for stage in chosen)
    tracks = None if keys is None else [catalog.track(key) for key in dict.fromkeys(keys)]
    with _job(ledger, "analyze", ", ".join(sorted(running)), mends=running | {"scan", "decode", "store"}) as job:
        on_start(catalog.count() if tracks is None else len(tracks))
        files = _files_of(_pages(catalog) if tracks is None else [tracks], catalog)
        held = _Held(catalog, stages, names if force else ())
        for outcome in ingest(files, chosen, held, limits=limits, decode_threads=decode_threads):
            job.take(outcome)
            on_outcome(outcome)
    for space in catalog.spaces():
        _merge(search, space)
    return job.report


@dataclass
class _Job:
    """A job as it goes: what it counts, and what it notes in the ledger."""

    id: int
    ledger: Ledger
    mends: Collection[str] | None
    failed_before: Mapping[str, str]
    counts: Counter[str] = field(default_factory=lambda: Counter(indexed=0, unchanged=0, failed=0))
    seconds: Counter[str] = field(default_factory=Counter)
    audio_s: float = 0.0
    skipped: defaultdict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    partial: dict[str, str] = field(default_factory=dict)
    dropped: defaultdict[str, list[ScannedFile]] = field(default_factory=lambda: defaultdict(list))
    unlisted: list[str] = field(default_factory=list)

    @property
    def report(self) -> IngestReport:
        """What it came to so far."""
        skipped = dict(self.skipped)
        dropped = {stage: [file.key for file in files] for stage, files in self.dropped.items() if files}
        return IngestReport(
            self.id, dict(self.counts), self.audio_s, dict(self.seconds), skipped, dict(self.partial), dropped
        )

    def skip(self, uri: str, reason: str) -> None:
        """A file is left out."""
        self.skipped[reason].append(uri)

    def failed_in_scan(self, uri: str, reason: str) -> None:
        """A file or folder cannot be listed."""
        self.unlisted.append(uri)
        self.failed(uri, "scan", reason)

    def failed(self, uri: str, stage: str, reason: str) -> None:
        """A file that is not in the catalogue, or not as it should be."""
        self.counts["failed"] += 1
        self.ledger.record_failure(uri, stage=stage, reason=reason, job_id=self.id)

    def take(self, outcome: Outcome) -> None:
        """One file is done."""
        uri, stage, reason = outcome.file.uri, str(outcome.stage), str(outcome.reason)
        if outcome.status == "failed":
            self.failed(uri, stage, reason)
            return
        self.counts[outcome.status] += 1
        self.audio_s += outcome.duration_s
        if outcome.partial is not None:
            self.partial[outcome.file.key] = outcome.partial
        for stage in outcome.dropped:
            self.dropped[stage].append(outcome.file)
        self.seconds.update(outcome.seconds)
        if outcome.reason is not None:
            self.ledger.record_failure(uri, stage=stage, reason=reason, job_id=self.id)
        elif self._mended(self.failed_before.get(uri)):
            self.ledger.clear_failure(uri)

    def _mended(self, failed_in: str | None) -> bool:
        """Whether a file that goes well has not the failure any more that it had in these stages."""
        return failed_in is not None and (self.mends is None or set(failed_in.split(", ")) <= set(self.mends))


@contextmanager
def _job(ledger: Ledger, kind: str, source: str, mends: Collection[str] | None = None) -> Iterator[_Job]:
    """A job, closed as what it was: done, interrupted or failed; `mends` are its stages, where not all of them."""
    failed_before = {failure.uri: failure.stage for failure in ledger.failures()}
    job, state = _Job(ledger.start_job(kind, source), ledger, mends, failed_before), "failed"
    try:
        yield job
        state = "done"
    except KeyboardInterrupt:
        state = "interrupted"
        raise
    finally:
        ledger.finish_job(job.id, state, job.counts)


class _Held:
    """A catalogue as a new analysis of what it holds sees it: whatever is written, a track's own fields stay."""

    def __init__(self, catalog: Catalog, stages: Sequence[Stage], force: Collection[str]) -> None:
        self._catalog, self._stages, self._force = catalog, stages, frozenset(force)

    def stored_tracks(self, keys: Sequence[str]) -> dict[str, StoredTrack]:
        """As the catalogue has them, without the stages that are to run in any case."""
        known = self._catalog.stored_tracks(keys)
        return {key: replace(one, analyses=self._to_keep(one.analyses)) for key, one in known.items()}

    def store(self, analysis: TrackAnalysis) -> int:
        """Write what was made of a track, if anything was; what is made from that, and was not, is to run again."""
        if not analysis.rows:
            return self._catalog.revision()
        left = [stage for stage in self._stages if stage.name not in analysis.stages]
        made_from_it = [stage.name for stage in left if not analysis.stages.keys().isdisjoint(stage.needs)]
        return store_again(self._catalog.engine, replace(analysis, undone=[*analysis.undone, *made_from_it]))

    def stored_at(self, uris: Sequence[str]) -> dict[str, StoredTrack]:
        """Nothing: the files are those of tracks, by their keys."""
        return {}

    def stored_as(self, content_hash: str, audio_hash: str | None) -> list[StoredTrack]:
        """Nothing: no track was moved where another one is."""
        return []

    def _to_keep(self, versions: Mapping[str, str]) -> dict[str, str]:
        return {stage: version for stage, version in versions.items() if stage not in self._force}


def _miss(files: Sequence[ScannedFile], roots: Sequence[Path], catalog: Catalog, job: _Job) -> None:
    """Mark the tracks under folders whose files are not there, unless nobody could look, or nothing at all is there."""
    found = {file.uri for file in files}
    looked = [str(root) for root in roots if any(_is_under(uri, [str(root)]) for uri in found)]
    gone = [
        track.id
        for track in {track.id: track for root in looked for track in tracks_under(catalog.engine, root)}.values()
        if track.uri not in found and not Path(track.uri).exists() and not _is_under(track.uri, job.unlisted)
    ]
    if gone:
        catalog.miss(gone)
        job.counts["missing"] = len(gone)


def _forget_failures(root: Path, ledger: Ledger, job: _Job) -> None:
    """Clear what failed before of files that are not there any more, and of folders that can be listed again."""
    folder, failed_now = str(root), {one.uri for one in ledger.failures(job_id=job.id)}
    for uri in job.failed_before:
        if uri in failed_now or not (uri == folder or _is_under(uri, [folder])) or _is_under(uri, job.unlisted):
            continue
        if not os.path.lexists(uri) or Path(uri).is_dir():
            ledger.clear_failure(uri)


def _is_under(uri: str, folders: Iterable[str]) -> bool:
    return any(uri.startswith(f"{folder.rstrip('/')}/") for folder in folders)


def _pages(catalog: Catalog) -> Iterator[list[Track]]:
    """All live tracks, some at a time."""
    after_id = 0
    while page := catalog.list_tracks(after_id=after_id, limit=TRACKS_AT_ONCE):
        yield page
        after_id = page[-1].id


def _files_of(pages: Iterable[Sequence[Track]], catalog: Catalog) -> Iterator[ScannedFile]:
    """The files of tracks, as they were when these were indexed."""
    for page in pages:
        stored = catalog.stored_tracks([track.key for track in page])
        for track in page:
            if (known := stored.get(track.key)) is not None:
                said = FileTags(track.title, track.artist, track.album, track.genre, track.year)
                path, times = Path(known.uri), (known.modified_ns, known.changed_ns)
                yield ScannedFile(path, track.key, known.size_bytes, *times, said, known.content_hash)


def _update_indexes(encoders: Sequence[Encoder], search: Search) -> None:
    filled = search.catalog.spaces()
    for encoder in encoders:
        if encoder.spec.name in filled:
            _merge(search, encoder.spec.name)
            indexes = [search.space(encoder.spec.name, granularity) for granularity in get_args(Granularity)]
            if all(index.view().encoder_version == encoder.version for index in indexes):
                search.catalog.drop_superseded(encoder.spec.name, encoder.version)


def _merge(search: Search, space: str) -> None:
    for granularity in get_args(Granularity):
        merge_if_due(search.space(space, granularity))
