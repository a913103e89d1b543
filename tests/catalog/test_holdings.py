"""Which of several spaces answers, on hand-made holdings and as a catalogue is encoded anew."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from pyroaring import BitMap64
from sqlalchemy import Engine, event

import retrieval.catalog.watch
from retrieval.catalog.holdings import answering, count_without
from retrieval.catalog.reading import Catalog
from retrieval.catalog.records import SpaceEmbedding, TrackAnalysis
from retrieval.catalog.succession import Succession
from tests.catalog.test_catalog import analysis


@pytest.mark.parametrize(
    ("held", "place"),
    [
        ([[]], 0),
        ([[], []], 0),
        ([[1], []], 0),
        ([[], [1]], 1),
        ([[1, 2], [1, 2, 3]], 1),
        ([[1, 2, 3], [1, 2, 3]], 0),
        ([[1, 2, 3, 4], [1, 2, 3]], 0),
        ([[1, 2, 4], [1, 2, 3]], 1),  # neither has all: the older goes on
        ([[1, 2, 3, 4], [5]], 0),  # a few are left in an old space
        ([[1], [1, 2], [1, 2, 3]], 2),
        ([[1, 2, 3], [1], [1, 2, 3]], 0),
        ([[1], [1, 2, 3], [1, 2]], 1),
        ([[1], [], [1, 2, 3]], 2),
    ],
)
def test_the_newest_that_has_all_answers(held: Sequence[Sequence[int]], place: int) -> None:
    assert answering([BitMap64(ids) for ids in held]) == place


def in_spaces(one: TrackAnalysis, *spaces: str) -> TrackAnalysis:
    (made,) = one.of(SpaceEmbedding)
    return replace(one, rows=[replace(made, space=space, encoder_version=f"{space}-1") for space in spaces])


def test_a_succession_follows_what_is_encoded_deleted_and_written_elsewhere(
    engine: Engine, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    catalog, elsewhere = Catalog(engine), Catalog(engine)
    monkeypatch.setattr(retrieval.catalog.watch, "LOOK_EVERY_S", 0)
    defaults = Succession(catalog, ["new", "old"])

    def store(key: str, *spaces: str, by: Catalog = catalog) -> str:
        by.store(in_spaces(analysis(key, rng), *spaces))
        return defaults.answering()

    assert (defaults.answering(), defaults.counts()) == ("new", {})
    assert store("a", "old") == store("b", "old") == store("c", "old", by=elsewhere) == "old"
    assert store("a", "new") == store("b", "new") == "old"
    assert defaults.counts() == {"new": 2, "old": 3}
    assert store("d", "new", "old") == "old"
    assert store("c", "new", by=elsewhere) == "new"
    assert store("e", "new") == "new"
    assert store("f", "old") == "old"
    elsewhere.delete("f")
    assert defaults.answering() == "new"
    assert defaults.counts() == {"new": 5, "old": 4}
    elsewhere.store(replace(in_spaces(analysis("e", rng, content="changed"), "old")))
    assert defaults.answering() == "old"
    assert Succession(catalog, ["new", "old"]).answering() == "old"
    assert Succession(catalog, ["nothing", "new"]).answering() == "new"


def test_asking_costs_nothing_until_something_is_written(
    engine: Engine, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    catalog = Catalog(engine)
    monkeypatch.setattr(retrieval.catalog.watch, "LOOK_EVERY_S", 1_000)
    catalog.store(in_spaces(analysis("a", rng), "new", "old"))
    several, one = Succession(catalog, ["new", "old"]), Succession(catalog, ["old"])
    several.answering()
    statements = []
    event.listen(engine, "before_cursor_execute", lambda *arguments: statements.append(arguments[2]))
    assert {several.answering() for _ in range(100)} == {"new"}
    assert one.answering() == "old"
    assert statements == []
    catalog.store(in_spaces(analysis("b", rng), "old"))
    statements.clear()
    assert several.answering() == "old"
    assert statements


def test_tracks_that_wait_are_counted_by_folder(engine: Engine, rng: np.random.Generator) -> None:
    catalog = Catalog(engine)
    for key in ("x/1", "x/2", "x/y/3", "z/4"):
        catalog.store(in_spaces(analysis(key, rng), "old"))
    for key in ("x/2", "z/5"):
        catalog.store(in_spaces(analysis(key, rng), "new"))
    assert catalog.folders_without("new-1", ["new", "old"]) == {"/music/x": 1, "/music/x/y": 1, "/music/z": 1}
    assert catalog.folders_without("new-2", ["new"]) == {"/music/x": 1, "/music/z": 1}
    assert catalog.folders_without("old-1", ["old"]) == {}


def test_tracks_that_a_stage_has_not_run_for_are_counted_in_a_folder(engine: Engine, rng: np.random.Generator) -> None:
    catalog = Catalog(engine)
    for key, stages in (
        ("x/1", {"vocals": "v-1", "language": "l-1"}),
        ("x/2", {"vocals": "v-1", "language": "l-0"}),
        ("x/3", {"vocals": "v-1"}),
        ("x_y/4", {}),
        ("z/5", {}),
    ):
        catalog.store(replace(analysis(key, rng), stages=stages))
    catalog.delete("z/5")
    wanted = {"vocals": "v-1", "language": "l-1"}
    assert count_without(engine, wanted, "/music") == 3
    assert count_without(engine, wanted, "/music/x") == 2
    assert count_without(engine, wanted, "/music/x_y/") == 1
    assert count_without(engine, {"vocals": "v-1"}, "/music/x") == 0
    uri = catalog.track("x/3").uri
    assert count_without(engine, wanted, uri) == 1
