"""What `soundalike evaluate run` takes: judgments, and queries from a file of JSON Lines.

Each line is an id and a search as `POST /v1/query` takes it, or an id and an audio file:

{"id": "q1", "query": {"track": "a.mp3"}, "filter": {"must": [{"key": "year", "range": {"gte": 1990}}]}}
{"id": "q2", "audio": "clips/hummed.mp3", "exclude": ["a.mp3"]}

An audio file's path is relative to the file of queries. Depth, space, granularity and exactness are those of the whole
evaluation: a search may say them again, but not otherwise.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

import click
from click.core import ParameterSource

from api.documents.search import MediaSearch, SearchIn, read
from api.documents.wellformed import DocumentError, parse_json
from encoders.errors import EncoderError
from retrieval.errors import RetrievalError
from retrieval.evaluation.errors import EvaluationError, EvaluationFileError
from retrieval.evaluation.inputs.formats import read_bytes, read_qrels
from retrieval.evaluation.inputs.queries import EvaluationQuery, Where, history_queries, track_queries
from retrieval.evaluation.inputs.splits import moment, read_interactions, split
from retrieval.evaluation.measures.metrics import DEFAULT, parsed
from retrieval.evaluation.run import Options
from retrieval.filters.language import Filter

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from api.wiring import Soundalike
    from retrieval.catalog.records import Granularity
    from retrieval.evaluation.inputs.pairs import Pairs
    from retrieval.search.query import Query

REFUSED = ("limit", "cursor", "explain")


@dataclass(frozen=True)
class RunOptions:
    """What `evaluate run` was given."""

    qrels: Path | None
    interactions: Path | None
    queries: Path | None
    split: Literal["temporal", "leave-last-out"]
    cut: str | None
    history: int
    half_life: float | None
    unknown: Literal["exclude", "miss", "fail"]
    metrics: Sequence[str]
    depth: int
    condition: Filter | None
    space: str | None
    granularity: Granularity
    exact: bool
    seed: int

    def check(self) -> None:
        """Refuse what does not go together, or is no metric or moment, before a file is read.

        Raises
        ------
        UsageError, MetricError
        """
        if (self.qrels is None) == (self.interactions is None):
            raise click.UsageError("give either --qrels or --interactions")
        if self.interactions is not None and self.queries is not None:
            raise click.UsageError("--queries goes with --qrels: with --interactions, histories are the queries")
        if self.cut is not None and self.split != "temporal":
            raise click.UsageError("--cut goes with --split temporal")
        context = click.get_current_context()
        for name in ("split", "cut", "history", "half_life") if self.interactions is None else ():
            if context.get_parameter_source(name) is ParameterSource.COMMANDLINE:
                raise click.UsageError(f"--{name.replace('_', '-')} goes with --interactions")
        parsed(self.metrics, self.depth)
        if self.cut is not None:
            try:
                moment(self.cut)
            except EvaluationError as error:
                raise click.BadParameter(str(error), param_hint="--cut") from error

    def inputs(self, here: Soundalike) -> tuple[Pairs, list[EvaluationQuery], Options]:
        """Judgments, queries and options, as `retrieval.evaluation.run.evaluate` takes them.

        Raises
        ------
        EvaluationError, IndexMissingError
        """
        where = Where(here.search.space_name(self.space), self.granularity, self.depth, self.exact)
        options = Options(where, self.metrics or DEFAULT, self.unknown, seed=self.seed)
        if self.interactions is not None:
            cut = None if self.cut is None else moment(self.cut)
            plays = read_interactions(self.interactions)
            played = split(plays, by=self.split, cut=cut, longest_history=self.history)
            queries, notes = history_queries(here.search, played, where, half_life=self.half_life)
            qrels = played.qrels
            options = replace(options, popularity=played.popularity, warnings=[*played.warnings, *notes])
        else:
            assert self.qrels is not None  # check
            qrels = read_qrels(self.qrels)
            queries = track_queries(qrels) if self.queries is None else read_queries(here, self.queries, where)
        if self.condition is not None:
            queries = [_narrowed(one, self.condition) for one in queries]
        return qrels, queries, options


def read_queries(here: Soundalike, path: Path, where: Where) -> list[EvaluationQuery]:
    """Every query of a file.

    Raises
    ------
    EvaluationFileError
        With the line, for what is no query, ids that are missing, no text or stand twice, and audio that cannot be
        read.
    """
    asked: dict[str, EvaluationQuery] = {}
    for number, line in enumerate(read_bytes(path).split(b"\n"), start=1):
        if not line.strip():
            continue
        place = f"line {number}"
        body = _body(line, path, place)
        query_id = body.pop("id", None)
        if not isinstance(query_id, str) or not query_id:
            raise EvaluationFileError(str(path), place, f"id is {query_id!r}", "text, as the judgments have it")
        if query_id in asked:
            raise EvaluationFileError(str(path), place, f"id {query_id!r} stands in {asked[query_id].place} too")
        asked[query_id] = EvaluationQuery(query_id, _query(here, body, path, place, where), place)
    if not asked:
        raise EvaluationFileError(str(path), "", "holds no query", '{"id": "q1", "query": {"track": "key"}} a line')
    return list(asked.values())


def _narrowed(asked: EvaluationQuery, condition: Filter) -> EvaluationQuery:
    """The query among what matches both its own filter and this one."""
    first = asked.query.filter
    both = condition if first is None else Filter(must=[first, condition])
    return replace(asked, query=replace(asked.query, filter=both))


def _body(line: bytes, path: Path, place: str) -> dict[str, Any]:
    try:
        body = parse_json(line, place)
    except ValueError as error:
        raise EvaluationFileError(str(path), place, f"is not JSON: {error}") from error
    except DocumentError as error:
        raise EvaluationFileError(str(path), place, str(error)) from error
    if not isinstance(body, dict):
        raise EvaluationFileError(str(path), place, f"holds a {type(body).__name__}", "an object")
    for name in REFUSED:
        if name in body:
            raise EvaluationFileError(str(path), place, f"{name} is not a query's to say", "the evaluation's --depth")
    return body


def _query(here: Soundalike, body: dict[str, Any], path: Path, place: str, where: Where) -> Query:
    audio = body.pop("audio", None)
    try:
        search: MediaSearch = read(SearchIn if audio is None else MediaSearch, body)
        _check_same(here, search, path, place, where)
        if isinstance(search, SearchIn):
            query = search.as_query()
        else:
            query = search.query_for([here.seed_of(path.parent / str(audio), where.space)])
        with search.naming_fields():
            query.check()
    except EvaluationFileError:
        raise
    except (RetrievalError, EncoderError, DocumentError) as error:
        raise EvaluationFileError(str(path), place, str(error)) from error
    return query


def _check_same(here: Soundalike, search: MediaSearch, path: Path, place: str, where: Where) -> None:
    """Refuse a search that names another space, granularity or exactness than the evaluation's."""
    meant = {"space": here.search.space(where.space).space, "granularity": where.granularity, "exact": where.exact}
    for name, value in meant.items():
        said = getattr(search, name)
        if name in search.model_fields_set and said not in (None, value):
            raise EvaluationFileError(str(path), place, f"{name} is {said!r}, the evaluation's is {value!r}")
