"""From ids in a file to tracks that can be found, and what becomes of the rest.

An id is unknown when no track of the searched space has it as its key. Unknown ids are always counted and listed, and
by choice

- ``exclude``: an unknown document is not judged, an unknown query is not asked;
- ``miss``: an unknown document stays relevant and is never found, an unknown query scores 0;
- ``fail``: the first one, with its place in the file, ends the evaluation.

A query's own track is no answer to it: such judgments are left out and counted, as are queries without any relevant
document, for which no metric has a value.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from retrieval.evaluation.errors import EvaluationError, EvaluationFileError
from retrieval.index.ascending import contained

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from retrieval.catalog.reading import Catalog
    from retrieval.evaluation.inputs.pairs import Pairs

Unknown = Literal["exclude", "miss", "fail"]


@dataclass(frozen=True)
class LeftOut:
    """What of the judgments did not count as it stands.

    Attributes
    ----------
    unknown : what became of unknown ids: ``exclude``, ``miss`` or ``fail``
    unknown_queries, unknown_documents : ids that no track of the space has
    without_relevant : queries without any relevant document
    own : judgments of a query's own examples
    not_asked : queries of the file of queries that nobody judged
    """

    unknown: Unknown
    unknown_queries: Sequence[str]
    unknown_documents: Sequence[str]
    without_relevant: Sequence[str]
    own: int
    not_asked: Sequence[str] = ()


@dataclass(frozen=True, eq=False)
class Judgments:
    """Judgments of the queries that are evaluated.

    Attributes
    ----------
    query_ids : of n queries
    query_no : int64 [n_judgments], into these
    track_ids : int64 [n_judgments]; below 0 for a document that cannot be found
    relevance : int64 [n_judgments]
    """

    query_ids: Sequence[str]
    query_no: NDArray[np.int64]
    track_ids: NDArray[np.int64]
    relevance: NDArray[np.int64]
    left_out: LeftOut


def known_ids(catalog: Catalog, keys: Sequence[str], track_ids: NDArray[np.int64]) -> dict[str, int]:
    """Track ids by key, of the keys that a space holds.

    Parameters
    ----------
    track_ids : int64 ascending, all of the space
    """
    by_key = catalog.ids_by_key(keys)
    ids = np.fromiter(by_key.values(), np.int64, len(by_key))
    return {
        key: track_id for (key, track_id), kept in zip(by_key.items(), contained(ids, track_ids), strict=True) if kept
    }


def judged(
    qrels: Pairs, known: Mapping[str, int], examples: Mapping[str, Sequence[int]], *, unknown: Unknown = "exclude"
) -> Judgments:
    """Turn judgments by ids into judgments of tracks.

    Parameters
    ----------
    known : track ids by key, as far as the space holds them
    examples : tracks that each query names, by the query's id; queries that are not in it cannot be asked

    Raises
    ------
    EvaluationFileError
        If no document is known at all, or there is an unknown id and `unknown` is ``fail``.
    EvaluationError
        If no query is left to evaluate.
    """
    ids = np.array([known.get(key, -1) for key in qrels.document_ids], np.int64)
    askable = np.array([query in examples for query in qrels.query_ids], bool)
    _check_known(qrels, ids, askable, unknown)
    track_ids, query_no = ids[qrels.document_no], qrels.query_no
    kept = np.ones(len(qrels), bool) if unknown == "miss" else (track_ids >= 0) & askable[query_no]
    about_examples = _about_examples(qrels, examples, track_ids)
    kept &= ~about_examples
    relevance = qrels.values.astype(np.int64)
    relevant = np.bincount(query_no[kept & (relevance > 0)], minlength=len(qrels.query_ids)) > 0
    evaluated = relevant & (askable | (unknown == "miss"))
    judged_ids = set(qrels.query_ids)
    left_out = LeftOut(
        unknown,
        _named(qrels.query_ids, ~askable),
        _named(qrels.document_ids, ids < 0),
        _named(qrels.query_ids, ~relevant & (askable | (unknown == "miss"))),
        int(about_examples.sum()),
        [query for query in examples if query not in judged_ids],
    )
    if not evaluated.any():
        reason = (
            f"{qrels.source}: no query is left to evaluate: {len(left_out.unknown_queries)} unknown, "
            f"{len(left_out.without_relevant)} without a relevant track"
        )
        raise EvaluationError(reason, "queries that are keys of the catalogue, or a file of queries, and relevance > 0")
    kept &= evaluated[query_no]
    numbers = np.cumsum(evaluated) - 1
    return Judgments(
        _named(qrels.query_ids, evaluated), numbers[query_no[kept]], track_ids[kept], relevance[kept], left_out
    )


def _named(ids: Sequence[str], marked: NDArray[np.bool_]) -> list[str]:
    return [ids[number] for number in np.flatnonzero(marked).tolist()]


def _about_examples(
    qrels: Pairs, examples: Mapping[str, Sequence[int]], track_ids: NDArray[np.int64]
) -> NDArray[np.bool_]:
    """Judgments that are about an example of their query."""
    stride = int(track_ids.max(initial=0)) + 1
    codes = [
        number * stride + track_id
        for number, query in enumerate(qrels.query_ids)
        for track_id in examples.get(query, ())
        if track_id < stride
    ]
    marked: NDArray[np.bool_] = np.isin(qrels.query_no * stride + track_ids, np.array(codes, np.int64))
    return marked & (track_ids >= 0)


def _check_known(qrels: Pairs, ids: NDArray[np.int64], askable: NDArray[np.bool_], unknown: Unknown) -> None:
    if (ids < 0).all():
        reason = f"none of its {len(ids)} documents is a track of the space; the first is {qrels.document_ids[0]!r}"
        accepted = "keys as `soundalike tracks` lists them, as text"
        raise EvaluationFileError(qrels.source, qrels.place(0), reason, accepted)
    if unknown != "fail":
        return
    for what, bad, names, numbers in (
        ("document", ids < 0, qrels.document_ids, qrels.document_no),
        ("query", ~askable, qrels.query_ids, qrels.query_no),
    ):
        if bad.any():
            number = int(np.argmax(bad))
            place = qrels.place(int(np.argmax(numbers == number)))
            reason = f"{what} {names[number]!r} is unknown; {int(bad.sum())} of {len(names)} ids are"
            raise EvaluationFileError(qrels.source, place, reason, "keys of the space; unknown = exclude or miss")
