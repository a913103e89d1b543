"""Which part of a track its label means: where a highlight lies, or else the longest. It is a span like any other."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import Engine

from retrieval.catalog.reading import Catalog
from retrieval.catalog.records import HighlightSpan, SectionSpan, TrackForm
from retrieval.errors import NotAnalysedError, QueryError
from retrieval.search.engine import Search
from retrieval.search.query import Answer, Query, Seed
from retrieval.search.sections import meant
from tests.catalog.test_catalog import analysis

N_TRACKS = 12


def part(start_s: float, end_s: float, label: str = "chorus", level: int = 1) -> SectionSpan:
    return SectionSpan(start_s, end_s, level, label, "A", 0.5)


PARTS = [part(10, 20), part(30, 45), part(50, 65)]


@pytest.mark.parametrize(
    ("highlights", "start_s"),
    [
        ([], 30),  # the longest, and of two the first
        ([(12, 14, 0.9)], 10),
        ([(18, 34, 0.9)], 30),  # four seconds of it against two
        ([(20, 30, 0.9)], 30),  # touches none
        ([(0, 5, 0.9), (60, 70, 0.8), (10, 20, 0.7)], 50),  # the best that touches one
    ],
)
def test_a_label_means_the_part_of_the_best_highlight(highlights: list[tuple[float, ...]], start_s: float) -> None:
    assert meant(PARTS, [HighlightSpan(*one) for one in highlights]).start_s == start_s


@pytest.fixture
def search(engine: Engine, rng: np.random.Generator, tmp_path: Path) -> Search:
    """Tracks of three segments of a second each; of t0 and t1 the form is known."""
    catalog = Catalog(engine)
    batch = [analysis(f"t{number}", rng) for number in range(N_TRACKS)]
    fine = [part(0, 0.5, "verse", 2), part(0.5, 3, "bridge", 2)]
    parts = [part(0, 1, "verse"), part(1, 2), part(2, 3)]
    forms = [TrackForm([*parts, *fine], [HighlightSpan(2.2, 2.9, 0.9)]), TrackForm([part(0, 1.9), part(1.9, 3)])]
    batch[:2] = [replace(one, rows=[*one.rows, form]) for one, form in zip(batch, forms, strict=False)]
    catalog.store_many(batch)
    return Search(catalog, tmp_path, default_space="e")


def shown(answer: Answer) -> list[tuple[str, float]]:
    return [(result.track.key, result.score) for result in answer.results]


@pytest.mark.parametrize("granularity", ["track", "segment"])
def test_a_section_asks_as_its_span_does(search: Search, granularity: str) -> None:
    def found(*positive: Seed, **more: object) -> list[tuple[str, float]]:
        return shown(search.answer(Query(positive, granularity=granularity, **more)))  # type: ignore[arg-type]

    assert found(Seed("t0", section="chorus")) == found(Seed("t0", 2, 3)) != found(Seed("t0", 1, 2))
    assert found(Seed("t0", section="verse")) == found(Seed("t0", 0, 1))
    assert found(Seed("t1", section="chorus")) == found(Seed("t1", 0, 1.9))
    both = found(Seed("t0", section="verse"), Seed("t5"), negative=[Seed("t1", section="chorus")])
    assert both == found(Seed("t0", 0, 1), Seed("t5"), negative=[Seed("t1", 0, 1.9)])


def test_what_is_alike_is_alike_to_the_section(search: Search) -> None:
    explained = search.answer(Query([Seed("t0", section="chorus")], explain=True)).results
    assert {match.query_s for result in explained if result.explain for match in result.explain.best_segments} == {
        (2.0, 3.0)
    }


def test_a_cursor_belongs_to_its_section(search: Search) -> None:
    first = search.answer(Query([Seed("t0", section="chorus")], limit=4))
    rest = search.answer(Query([Seed("t0", section="chorus")], limit=20, cursor=first.next_cursor))
    assert shown(first) + shown(rest) == shown(search.answer(Query([Seed("t0", section="chorus")], limit=20)))
    with pytest.raises(QueryError, match="another query"):
        search.answer(Query([Seed("t0", section="verse")], cursor=first.next_cursor))


@pytest.mark.parametrize(
    ("seed", "message"),
    [
        (
            Seed("t0", section="refrain"),
            r"positive\[0\]\.section: is 'refrain'; accepted: intro, verse, chorus, bridge",
        ),
        (Seed("t0", section="bridge"), r"section: track 't0' has no bridge; accepted: verse, chorus$"),
        (Seed("t0", 0, 1, section="chorus"), "section: says with a span or a vector twice"),
        (Seed(vector=np.ones(3, np.float32), section="chorus"), "twice"),
    ],
)
def test_a_section_that_is_none_is_refused(search: Search, seed: Seed, message: str) -> None:
    with pytest.raises(QueryError, match=message):
        search.answer(Query([seed]))


def test_a_track_whose_form_is_not_known_says_how_it_becomes(search: Search) -> None:
    with pytest.raises(NotAnalysedError, match="'t3' is not known yet: run `soundalike analyze t3 --stage structure`"):
        search.answer(Query([Seed("t3", section="chorus")]))


def test_a_section_where_nothing_sounds_says_so(search: Search, rng: np.random.Generator) -> None:
    silent_at_the_end = TrackForm([part(0, 3), part(3, 9, "outro")])
    one = analysis("t0", rng)
    search.catalog.store(replace(one, rows=[*one.rows, silent_at_the_end]))
    with pytest.raises(QueryError, match=r"'t0' lies in 3–9 s; accepted: a section in which the track"):
        search.answer(Query([Seed("t0", section="outro")]))
