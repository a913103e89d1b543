"""What is asked: a query for each id that judgments know."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from retrieval.counting import counted
from retrieval.evaluation.inputs.judgments import known_ids
from retrieval.search.query import Query, Seed, similar

if TYPE_CHECKING:
    from retrieval.catalog.records import Granularity
    from retrieval.evaluation.inputs.pairs import Pairs
    from retrieval.evaluation.inputs.splits import Histories
    from retrieval.search.engine import Search


@dataclass(frozen=True)
class EvaluationQuery:
    """A query with the id that its judgments bear, and where it stands in its file (``line 7``), if in one."""

    id: str
    query: Query
    place: str = ""

    @property
    def examples(self) -> list[str]:
        """Keys of the tracks that it names as examples."""
        return [seed.track for seed in (*self.query.positive, *self.query.negative) if seed.track is not None]


@dataclass(frozen=True)
class Where:
    """Where queries are asked, and how many results each has."""

    space: str | None = None
    granularity: Granularity = "track"
    depth: int = 100
    exact: bool = False


def track_queries(qrels: Pairs) -> list[EvaluationQuery]:
    """The queries of judgments whose query ids are keys: what is like this track."""
    return [EvaluationQuery(key, similar(key)) for key in qrels.query_ids]


def history_queries(
    search: Search, played: Histories, where: Where, *, half_life: float | None = None
) -> tuple[list[EvaluationQuery], list[str]]:
    """What is like each user's history, and notes of what had to be left out of it.

    Items that the space does not hold cannot be examples: they are left out; a user with no others is not asked.

    Parameters
    ----------
    half_life : items after which one counts half; none: all count alike
    """
    every_id = search.space(where.space, where.granularity).view().all_track_ids()
    keys = list(dict.fromkeys(key for history in played.histories.values() for key in history))
    known = known_ids(search.catalog, keys, every_id)
    queries = []
    for user, history in played.histories.items():
        seeds = [Seed(key) for key in history if key in known]
        if seeds:
            queries.append(EvaluationQuery(user, Query(seeds, half_life=half_life)))
    notes = []
    if len(known) < len(keys):
        notes.append(
            f"{len(keys) - len(known)} of {len(keys)} items of histories are unknown and were left out of them"
        )
    if played.users_left_out:
        notes.append(
            f"{counted(played.users_left_out, 'user has', 'users have')} no play on both sides of the split: left out"
        )
    return queries, notes
