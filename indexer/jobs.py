"""One ingest as a job: its files, its ledger of failures, and the index brought up to date at the end."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, get_args

from indexer.pipeline import Outcome, ingest
from indexer.scan import scan
from indexer.stages.registry import stages_with
from retrieval.catalog.records import Granularity
from retrieval.index.merging import merge_if_due

if TYPE_CHECKING:
    from pathlib import Path

    from encoders.analysis.voices import VoiceAnalysis
    from encoders.encoder import Encoder
    from encoders.media.decode import MediaLimits
    from retrieval.catalog.ledger import Ledger
    from retrieval.search.engine import Search

OnStart = Callable[[int], None]
OnOutcome = Callable[[Outcome], None]


@dataclass(frozen=True)
class IngestReport:
    """What one ingest came to.

    Attributes
    ----------
    counts : files by outcome: ``indexed``, ``unchanged``, ``failed``
    seconds : work by stage, summed over threads
    """

    job_id: int
    counts: Mapping[str, int]
    audio_s: float
    seconds: Mapping[str, float]


def index_folder(
    root: Path,
    encoders: Sequence[Encoder],
    search: Search,
    ledger: Ledger,
    *,
    limits: MediaLimits,
    decode_threads: int,
    of_new: Sequence[Encoder] = (),
    voices: VoiceAnalysis | None = None,
    key_prefix: str | None = None,
    on_start: OnStart = lambda total: None,
    on_outcome: OnOutcome = lambda outcome: None,
) -> IngestReport:
    """Bring every audio file under `root` into the catalogue and its index.

    Parameters
    ----------
    of_new : encoders for new tracks, beside the others: older versions, as long as they answer
    voices : what finds voices and their languages
    on_start : called with the number of files
    on_outcome : called after each file

    Raises
    ------
    ScanError
        If `root` does not exist or holds no audio.
    KeyboardInterrupt
        When interrupted; what was stored stays, the job is closed as interrupted, and the next run goes on from there.
    """
    job_id = ledger.start_job("index", str(root))
    state, counts, seconds, audio_s = "failed", Counter(indexed=0, unchanged=0, failed=0), Counter[str](), 0.0

    def failed(uri: str, stage: str, reason: str) -> None:
        counts["failed"] += 1
        ledger.record_failure(uri, stage=stage, reason=reason, job_id=job_id)

    try:
        files = scan(root, key_prefix=key_prefix, on_error=lambda uri, reason: failed(uri, "scan", reason))
        on_start(len(files))
        known_failures = {failure.uri for failure in ledger.failures()}
        stages = stages_with(encoders, of_new, voices)
        for outcome in ingest(files, stages, search.catalog, limits=limits, decode_threads=decode_threads):
            if outcome.status == "failed":
                failed(outcome.file.uri, str(outcome.stage), str(outcome.reason))
            else:
                counts[outcome.status] += 1
                audio_s += outcome.duration_s
                seconds.update(outcome.seconds)
                if outcome.file.uri in known_failures:
                    ledger.clear_failure(outcome.file.uri)
            on_outcome(outcome)
        state = "done"
    except KeyboardInterrupt:
        state = "interrupted"
        raise
    finally:
        ledger.finish_job(job_id, state, counts)
    _update_indexes(encoders, search)
    return IngestReport(job_id, dict(counts), audio_s, dict(seconds))


def _update_indexes(encoders: Sequence[Encoder], search: Search) -> None:
    filled = search.catalog.spaces()
    for encoder in encoders:
        if encoder.spec.name in filled:
            indexes = [search.space(encoder.spec.name, granularity) for granularity in get_args(Granularity)]
            for index in indexes:
                merge_if_due(index)
            if all(index.view().encoder_version == encoder.version for index in indexes):
                search.catalog.drop_superseded(encoder.spec.name, encoder.version)
