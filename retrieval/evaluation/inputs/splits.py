"""From what people listened to, to queries and judgments: by time.

- ``temporal``, the default: one moment for everybody. What a user played before it is the query, what they play from
  then on is relevant. Nothing of the future is known to anything (Meng et al., Exploring data splitting strategies for
  the evaluation of recommendation models, RecSys 2020).
- ``leave-last-out``: each user's last item is relevant, all before it is the query. It leaks: another user's query may
  hold what was played later than this user's last item (Ji et al., A critical study on data leakage in recommender
  system offline evaluation, TOIS 41, 2023). It is there for comparison with published figures, and says so.

Plays of one item by one user count once, at the first time. An item of a user's query is not relevant to them again:
the catalogue leaves examples out of their own results.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Literal

import numpy as np
import pyarrow as pa

from retrieval.evaluation.errors import EvaluationError, EvaluationFileError
from retrieval.evaluation.inputs.formats import column_of, read_table
from retrieval.evaluation.inputs.pairs import Pairs, numbered

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path
    from typing import Any

    from numpy.typing import NDArray

Split = Literal["temporal", "leave-last-out"]
CUT_SHARE = 0.8
LEAKS = (
    "leave-last-out leaks the future: a query may hold items that were played after another user's last one; "
    "figures come out too high. The temporal split does not."
)


@dataclass(frozen=True, eq=False)
class Interactions:
    """Who played what, when.

    Attributes
    ----------
    user_ids, item_ids : distinct
    user_no, item_no : int64 [n], into these
    times : float64 [n], in the file's own unit; of timestamps, seconds since 1970
    """

    source: str
    user_ids: Sequence[str]
    item_ids: Sequence[str]
    user_no: NDArray[np.int64]
    item_no: NDArray[np.int64]
    times: NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Histories:
    """Queries and judgments.

    Attributes
    ----------
    histories : item keys of each user, oldest first, by user; only of users with something relevant
    qrels : what is relevant to whom
    popularity : plays by item key, of the time before
    cut : the moment of the split; none for leave-last-out
    users_left_out : users without a play on both sides
    warnings : what to know before believing the figures
    """

    histories: dict[str, list[str]]
    qrels: Pairs
    popularity: dict[str, int]
    cut: float | None
    users_left_out: int
    warnings: Sequence[str]


def read_interactions(path: Path) -> Interactions:
    """Interactions from Parquet: columns user_id, item_id, timestamp.

    Raises
    ------
    EvaluationFileError
        With the row, for what is missing or of another type.
    """
    return interactions_from(read_table(path), source=str(path))


def interactions_from(frame: Any, *, source: str = "interactions") -> Interactions:
    """Interactions from a frame or an Arrow table with columns user_id, item_id, timestamp."""
    table = pa.table(frame)

    def place(row: int) -> str:
        return f"row {row + 1}"

    raw = column_of(table, "timestamp", source)
    if not len(raw):
        raise EvaluationFileError(source, "", "holds no interaction")
    if pa.types.is_timestamp(raw.type) or pa.types.is_date(raw.type):
        times = raw.cast(pa.timestamp("us")).cast(pa.int64()).cast(pa.float64(), safe=False).to_numpy() / 1e6
    elif pa.types.is_integer(raw.type) or pa.types.is_floating(raw.type):
        times = raw.cast(pa.float64(), safe=False).to_numpy()
    else:
        raise EvaluationFileError(source, "", f"column timestamp holds {raw.type}", "a timestamp, or numbers")
    if not np.isfinite(times).all():
        row = int(np.argmax(~np.isfinite(times)))
        raise EvaluationFileError(source, place(row), "timestamp is missing or no number", "a timestamp, or a number")
    users, user_no = numbered(source, column_of(table, "user_id", source), place, column="user_id")
    items, item_no = numbered(source, column_of(table, "item_id", source), place, column="item_id")
    return Interactions(source, users, items, user_no, item_no, times)


def moment(text: str) -> float:
    """A moment as a number, or as seconds since 1970 where it is written in ISO 8601 (UTC, if it names no zone).

    Raises
    ------
    EvaluationError
        If it is neither.
    """
    try:
        return float(text)
    except ValueError:
        pass
    try:
        at = datetime.fromisoformat(text)
    except ValueError as error:
        raise EvaluationError(f"cut is {text!r}", "a number as in the file, or a moment such as 2024-03-01") from error
    return (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp()


def split(played: Interactions, *, by: Split = "temporal", cut: float | None = None, longest_history: int) -> Histories:
    """Part each user's plays into a query and what is relevant to it.

    Parameters
    ----------
    cut : the moment of a temporal split; by default that before which 80 % of the plays lie
    longest_history : items of a query, the latest ones

    Raises
    ------
    EvaluationError
        If no user has plays on both sides.
    """
    order = np.lexsort((played.item_no, played.times, played.user_no))
    users, items, times = played.user_no[order], played.item_no[order], played.times[order]
    _, first = np.unique(users * len(played.item_ids) + items, return_index=True)
    first.sort()
    users, items, times = users[first], items[first], times[first]
    if by == "temporal":
        cut = float(np.quantile(times, CUT_SHARE, method="higher")) if cut is None else cut
        before = times < cut
    else:
        cut = None
        before = np.append(users[1:] == users[:-1], False)
    both = np.intersect1d(users[before], users[~before])
    if not len(both):
        raise EvaluationError(f"{played.source}: no user has plays on both sides of the split", "an earlier --cut")
    starts, ends = (np.searchsorted(users, both, side) for side in ("left", "right"))
    histories = {}
    for user, start, end in zip(both.tolist(), starts.tolist(), ends.tolist(), strict=True):
        own = items[start:end][before[start:end]][-longest_history:]
        histories[played.user_ids[user]] = [played.item_ids[item] for item in own.tolist()]
    counted = np.bincount(items[before], minlength=len(played.item_ids))
    return Histories(
        histories,
        _relevant(played, users[~before], items[~before], both),
        {played.item_ids[item]: int(counted[item]) for item in np.flatnonzero(counted).tolist()},
        cut,
        len(played.user_ids) - len(both),
        [LEAKS] if by == "leave-last-out" else [],
    )


def _relevant(
    played: Interactions, users: NDArray[np.int64], items: NDArray[np.int64], both: NDArray[np.int64]
) -> Pairs:
    kept = np.isin(users, both)
    query_ids = [played.user_ids[user] for user in both.tolist()]
    return Pairs(
        played.source,
        query_ids,
        played.item_ids,
        np.searchsorted(both, users[kept]),
        items[kept],
        np.ones(int(kept.sum())),
        lambda row: f"judgment {row + 1} of the split",
    )
