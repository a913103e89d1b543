"""What a catalogue holds, and what a job came to, in short."""

from __future__ import annotations

from typing import TYPE_CHECKING

from retrieval.search.query import similar

if TYPE_CHECKING:
    from api.wiring import Soundalike
    from indexer.jobs import IngestReport


def counts(report: IngestReport) -> dict[str, int]:
    """Files by outcome, of those that there were."""
    return {name: n for name, n in report.counts.items() if n}


def keys(here: Soundalike) -> list[str]:
    """Of the tracks that are listed."""
    return sorted(track.key for track in here.catalog.list_tracks(after_id=0, limit=100))


def neighbours(here: Soundalike, key: str) -> set[str]:
    """Keys of the fifty nearest tracks."""
    answer = here.search.answer(similar(key, space="bands", limit=50))
    return {result.track.key for result in answer.results}
