"""What `soundalike evaluate run` takes: judgments, and queries from a file of JSON Lines.

Each line is an id and a search as `POST /v1/query` takes it, or an id and an audio file:

{"id": "q1", "query": {"track": "a.mp3"}, "filter": {"must": [{"key": "year", "range": {"gte": 1990}}]}}
{"id": "q2", "audio": "clips/hummed.mp3", "exclude": ["a.mp3"]}

An audio file's path is relative to the file of queries. Depth, space, granularity and exactness are those of the whole
evaluation: a search may say them again, but not otherwise.
"""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from api.http.requests import MediaSearch, SearchIn
from encoders.errors import EncoderError
from encoders.media.decode import decode
from retrieval.errors import RetrievalError
from retrieval.evaluation.errors import EvaluationFileError
from retrieval.evaluation.inputs.formats import read_bytes, read_qrels
from retrieval.evaluation.inputs.queries import EvaluationQuery, Where, history_queries, track_queries
from retrieval.evaluation.inputs.splits import moment, read_interactions, split
from retrieval.evaluation.measures.metrics import DEFAULT
from retrieval.evaluation.run import Options
from retrieval.filters.language import Filter, field_path

if TYPE_CHECKING:
    from pathlib import Path

    from api.cli.commands.evaluation import Wanted
    from api.wiring import Soundalike
    from retrieval.evaluation.inputs.pairs import Pairs
    from retrieval.search.query import Query, Seed

REFUSED = ("limit", "cursor", "explain")


def inputs(here: Soundalike, wanted: Wanted) -> tuple[Pairs, list[EvaluationQuery], Options]:
    """Judgments, queries and options, as `retrieval.evaluation.run.evaluate` takes them.

    Raises
    ------
    EvaluationError, IndexMissingError
    """
    where = Where(wanted.space, wanted.granularity, wanted.depth, wanted.exact)
    options = Options(where, wanted.metrics or DEFAULT, wanted.unknown, seed=wanted.seed)
    if wanted.interactions is not None:
        cut = None if wanted.cut is None else moment(wanted.cut)
        plays = read_interactions(wanted.interactions)
        played = split(plays, by=wanted.split, cut=cut, longest_history=wanted.history)
        asked, notes = history_queries(here.search, played, where, half_life=wanted.half_life)
        qrels = played.qrels
        options = replace(options, popularity=played.popularity, warnings=[*played.warnings, *notes])
    else:
        assert wanted.qrels is not None  # Wanted.check
        qrels = read_qrels(wanted.qrels)
        asked = track_queries(qrels) if wanted.queries is None else read_queries(here, wanted.queries, where)
    if wanted.condition is not None:
        asked = [_narrowed(one, wanted.condition) for one in asked]
    return qrels, asked, options


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
    own = asked.query.filter
    both = condition if own is None else Filter(must=[own, condition])
    return replace(asked, query=replace(asked.query, filter=both))


def _body(line: bytes, path: Path, place: str) -> dict[str, Any]:
    try:
        body = json.loads(line)
    except ValueError as error:
        raise EvaluationFileError(str(path), place, f"is not JSON: {error}") from error
    if not isinstance(body, dict):
        raise EvaluationFileError(str(path), place, f"holds a {type(body).__name__}", "an object")
    for name in REFUSED:
        if name in body:
            raise EvaluationFileError(str(path), place, f"{name} is not a query's to say", "the evaluation's --depth")
    return body


def _query(here: Soundalike, body: dict[str, Any], path: Path, place: str, where: Where) -> Query:
    audio = body.pop("audio", None)
    try:
        search: MediaSearch = (SearchIn if audio is None else MediaSearch).model_validate(body)
        _check_same(here, search, path, place, where)
        if isinstance(search, SearchIn):
            query = search.as_query()
        else:
            query = search.query_for([_heard(here, path.parent / str(audio), where)])
        query.check()
    except ValidationError as error:
        first = error.errors()[0]
        reason = f"{field_path(first['loc']) or 'query'}: {first['msg']}"
        raise EvaluationFileError(str(path), place, reason) from error
    except EvaluationFileError:
        raise
    except (RetrievalError, EncoderError) as error:
        raise EvaluationFileError(str(path), place, str(error)) from error
    return query


def _check_same(here: Soundalike, search: MediaSearch, path: Path, place: str, where: Where) -> None:
    """Refuse a search that names another space, granularity or exactness than the evaluation's."""
    meant = {"space": here.search.space(where.space).space, "granularity": where.granularity, "exact": where.exact}
    for name, value in meant.items():
        said = getattr(search, name)
        if name in search.model_fields_set and said not in (None, value):
            raise EvaluationFileError(str(path), place, f"{name} is {said!r}, the evaluation's is {value!r}")


def _heard(here: Soundalike, audio: Path, where: Where) -> Seed:
    # The space before the encoder: a name in a file must never decide what is imported.
    encoder = here.encoder(here.search.space(where.space).space)
    decoded = decode(audio, sample_rates=[encoder.spec.sample_rate], limits=here.settings.media_limits)
    return here.seed_of(decoded, encoder)
