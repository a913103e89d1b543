"""A space by labels of the user's own: by hand, by trec_eval, what does not count, as it is typed and shown."""

import json
import shutil
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import Engine

from retrieval.evaluation.errors import EvaluationError
from retrieval.evaluation.html.page import page, read_result
from retrieval.evaluation.inputs.folder_labels import FolderLabels, LabelledFile, track_labels
from retrieval.evaluation.labelled import by_label, measure_labels
from retrieval.evaluation.measures import metrics
from retrieval.evaluation.measures.significance import bootstrap, paired
from retrieval.evaluation.ranking import track_vectors
from retrieval.evaluation.results.files import write_results
from retrieval.evaluation.results.runs import as_json
from retrieval.evaluation.space import evaluate_space
from retrieval.evaluation.space_comparison import compare_spaces
from retrieval.search.engine import Search
from tests.conftest import Run, loaded, tone
from tests.evaluation.exact_rankings import ranking_of_others
from tests.evaluation.pages import checked, pictures
from tests.evaluation.test_evaluation_space import at, embedded, random, search_of, stored  # noqa: F401
from tests.evaluation.test_evaluation_space_comparison import made, search  # noqa: F401

CIRCLE = {"a": 0, "unlabelled": 1, "b": 10, "j": 14, "c": 25, "d": 60, "e": 100}
LABELS = {"a": "rock", "b": "rock", "j": "jazz", "c": "pop", "d": "pop", "e": "pop"}


def folder(labels: Mapping[str, str], *more: LabelledFile) -> FolderLabels:
    """A folder that holds these tracks under these labels: what they contain is their key."""
    return FolderLabels("mine", [*(LabelledFile(f"{label}/{key}", label, key) for key, label in labels.items()), *more])


@pytest.fixture
def circle(engine: Engine, tmp_path: Path) -> Search:
    tracks = [stored(key, embedded("circle", np.stack([at(angle)] * 2))) for key, angle in CIRCLE.items()]
    return search_of(engine, tmp_path, tracks, "circle")


# By hand -----------------------------------------------------------------------------------------------------------


def test_labels_by_hand(circle: Search) -> None:
    found = evaluate_space(circle, labels=folder(LABELS))
    means = {name.removeprefix("same label "): (one.mean, one.count) for name, one in found.metrics.items()}
    # a has b first; b has j, then a; c has j, b, a, then d and e; d and e have the two others of pop first.
    assert means["precision@1"] == pytest.approx((3 / 5, 5))
    assert means["precision@10"] == pytest.approx(((2 * 1 / 10 + 3 * 2 / 10) / 5, 5))
    assert means["mAP"] == pytest.approx(((1 + 1 / 2 + (1 / 4 + 2 / 5) / 2 + 1 + 1) / 5, 5))
    # Each ranks five: one of them is relevant to rock, two are to pop.
    assert found.chance["same label precision@1"] == pytest.approx((2 * 1 / 5 + 3 * 2 / 5) / 5)
    assert found.chance["same label precision@10"] == pytest.approx((2 * 1 / 10 + 3 * 2 / 10) / 5)
    assert found.labels is not None
    assert (found.labels.source, found.labels.tracks, found.labels.queries) == ("mine", 6, 5)
    jazz, pop, rock = found.labels.rows
    assert [(row.label, row.tracks, row.queries) for row in (jazz, pop, rock)] == [
        ("jazz", 1, 0),
        ("pop", 3, 3),
        ("rock", 2, 2),
    ]
    assert (jazz.nearest, pop.nearest, rock.nearest) == ({}, {"pop": 2, "jazz": 1}, {"jazz": 1, "rock": 1})
    assert list(pop.nearest) == ["pop", "jazz"]
    assert (pop.metrics["precision@1"].mean, pop.chance["precision@1"]) == pytest.approx((2 / 3, 2 / 5))
    assert (rock.metrics["mAP"].mean, rock.metrics["mAP"].count) == pytest.approx((3 / 4, 2))
    assert (jazz.metrics["mAP"].count, as_json(found)["labels"]["rows"][0]["chance"]["mAP"]) == (0, None)
    assert found.warnings[-1] == "a label of a single track cannot ask, but is found: 1 label: jazz"


def test_a_space_without_labels_is_what_it_was(circle: Search) -> None:
    without, labelled = evaluate_space(circle), evaluate_space(circle, labels=folder(LABELS))
    assert without.labels is None
    assert [name for name in labelled.metrics if name not in without.metrics] == [
        f"same label {measure}" for measure in ("precision@1", "precision@10", "mAP")
    ]
    before, after = as_json(without)["metrics"], as_json(labelled)["metrics"]
    assert {name: after[name] for name in before} == before


# Congruence --------------------------------------------------------------------------------------------------------


def of_random(n: int = 45) -> FolderLabels:
    """Every third of these tracks under one label; t3 was deleted."""
    return folder({f"t{number}": f"label {number % 3}" for number in range(n)})


def test_trec_eval_finds_the_same(random: Search) -> None:  # noqa: F811
    view = random.space().view()
    labelled = track_labels(random.catalog, of_random(), view.all_track_ids(), ["r"])
    assert (len(labelled.track_ids), labelled.not_found) == (44, ["label 0/t3"])
    others = ranking_of_others(track_vectors(view, labelled.track_ids))
    relevant = labelled.labels[:, np.newaxis] == labelled.labels
    np.fill_diagonal(relevant, val=False)
    query_no, documents = np.nonzero(relevant)
    ranked = metrics.ranked(others, query_no, documents, np.ones(len(documents), np.int64))
    expected = metrics.evaluate(ranked, metrics.parsed(["P@1", "P@10", "AP"], len(others)))
    found = measure_labels(view, labelled, 1_000, seed=0)
    for name, trec_name in (("precision@1", "P@1"), ("precision@10", "P@10"), ("mAP", "AP")):
        np.testing.assert_allclose(found.per_query[name], expected[trec_name], atol=1e-12)
    assert [one.nearest for one in found.places] == others[:, 0].tolist()
    confused = np.zeros((3, 3), int)
    np.add.at(confused, (labelled.labels, labelled.labels[others[:, 0]]), 1)
    for number, row in enumerate(by_label(found, seed=0).rows):
        assert [row.nearest.get(name, 0) for name in labelled.names] == confused[number].tolist()
        own = found.per_query["mAP"][labelled.labels == number]
        assert row.metrics["mAP"] == bootstrap(own[:, np.newaxis])[0]


def test_a_sample_of_the_labelled_asks_and_all_of_them_are_found(random: Search) -> None:  # noqa: F811
    view = random.space().view()
    labelled = track_labels(random.catalog, of_random(), view.all_track_ids(), ["r"])
    whole, part = (measure_labels(view, labelled, sample, seed=0) for sample in (1_000, 12))
    assert (len(whole.rows), len(part.rows)) == (44, 12)
    for name, values in part.per_query.items():
        np.testing.assert_array_equal(values, whole.per_query[name][part.rows], err_msg=name)
    assert {one.ranked for one in part.places} == {43}
    assert sum(sum(row.nearest.values()) for row in by_label(part, seed=0).rows) == 12
    found = evaluate_space(random, labels=of_random(), sample=12).labels
    assert found is not None
    assert (found.queries, found.tracks) == (12, 44)


# Two spaces --------------------------------------------------------------------------------------------------------


def test_two_spaces_by_labels(search: Search) -> None:  # noqa: F811
    labels = folder({f"t{number}": f"label {number % 4}" for number in range(30)})
    found = compare_spaces(search, "noisy", "clean", labels=labels)
    alone = [evaluate_space(search, space=space, labels=labels) for space in ("noisy", "clean")]
    assert list(found.metrics) == list(alone[0].metrics)
    assert found.labels == tuple(one.labels for one in alone)
    for name in ("same label precision@1", "same label precision@10", "same label mAP"):
        one = found.metrics[name]
        assert (one.first_mean, one.second_mean) == pytest.approx([side.metrics[name].mean for side in alone])
        assert one.difference.count == 30
        assert one.p_holm >= one.p
        assert found.chance[name] == alone[0].chance[name]
    assert found.metrics["same label mAP"].p_holm < 0.05
    assert "same label mAP by" in found.verdict.partition("no difference")[0]


def test_labels_are_of_tracks_that_both_spaces_hold(search: Search) -> None:  # noqa: F811
    only = search.catalog.track("t4")
    view = search.space("noisy").view()
    vector = track_vectors(view, np.array([only.id]))[0].astype(float)
    search.catalog.delete("t4")
    search.catalog.store(stored("t4", embedded("noisy", np.stack([vector] * 4)), artist="artist 4"))
    labels = folder({f"t{number}": f"label {number % 4}" for number in range(30)})
    found = compare_spaces(search, "noisy", "clean", labels=labels, sample=9)
    assert found.labels is not None
    assert [(one.tracks, one.queries, one.not_found) for one in found.labels] == [(29, 9, ["label 0/t4"])] * 2
    assert found.warnings[-1] == (
        "not in spaces 'noisy' and 'clean', and left out: 1 of 30 files: label 0/t4; "
        "`soundalike index mine --space=noisy --space=clean` brings them in"
    )
    every = {row.label: row.metrics["mAP"].count for row in found.labels[0].rows}
    assert sum(every.values()) == 9
    paired_here = found.metrics["same label mAP"]
    views = [search.space(space).view() for space in ("noisy", "clean")]
    ids = np.intersect1d(*(one.all_track_ids() for one in views))
    labelled = track_labels(search.catalog, labels, ids, ["noisy", "clean"])
    values = [measure_labels(one, labelled, 9, seed=0).per_query["mAP"] for one in views]
    assert replace(paired_here, p_holm=paired_here.p) == paired(*values)


# What does not count -----------------------------------------------------------------------------------------------


def test_what_does_not_count_is_said(circle: Search) -> None:
    # The same file was indexed twice; the copy is nearest to its own twin, and nearer than any other to everything.
    circle.catalog.store(replace(stored("copy", embedded("circle", np.stack([at(0)] * 2))), content_hash="a"))
    circle.catalog.delete("j")
    more = [
        LabelledFile("rock/again/a", "rock", "a"),
        LabelledFile("pop/unlabelled", "pop", "unlabelled"),
        LabelledFile("rock/unlabelled", "rock", "unlabelled"),
        *(LabelledFile(f"pop/new {number}", "pop", f"new {number}") for number in range(4)),
    ]
    found = evaluate_space(circle, labels=replace(folder(LABELS, *more), source="my music", warnings=["seen"]))
    assert found.labels is not None
    assert [(row.label, row.tracks) for row in found.labels.rows] == [("jazz", 0), ("pop", 3), ("rock", 2)]
    assert found.labels.rows[2].nearest == {"rock": 2}
    assert found.labels.not_found == ["jazz/j", *(f"pop/new {number}" for number in range(4))]
    assert found.warnings[-4:] == [
        "seen",
        "under several labels, and so left out: 2 files: pop/unlabelled, rock/unlabelled",
        "copies of others of their label, counted once: 1 file: rock/again/a",
        "not in space 'circle', and left out: 5 of 13 files: jazz/j, pop/new 0, pop/new 1 and 2 more; "
        "`soundalike index 'my music' --space=circle` brings them in",
    ]


def test_too_few_labels_are_refused(circle: Search) -> None:
    accepted = "; accepted: two tracks or more under each of two labels or more"
    for labels, message in (
        (
            {"a": "rock", "b": "rock", "j": "jazz"},
            r"two labels have two tracks in space 'circle', of 2 labels: jazz 1, rock 2",
        ),
        (
            {"x": "rock", "y": "pop"},
            "of 2 labels: pop 0, rock 0; not in space 'circle', and left out: 2 of 2 files: rock/x",
        ),
    ):
        with pytest.raises(EvaluationError) as refused:
            evaluate_space(circle, labels=folder(labels))
        assert message in str(refused.value)
        assert str(refused.value).endswith(accepted)


# As it is typed and shown ------------------------------------------------------------------------------------------


def in_one_line(shown: str) -> str:
    """What is shown, wherever a title was broken."""
    return " ".join(shown.split())


def test_the_commands(run: Run, music: Path, write_wav: Callable[..., Path], tmp_path: Path) -> None:
    run("index", music, "--key-prefix", "elsewhere", "--space", "musicnn", "--space", "musicnn-mtt")
    mine = tmp_path / "mine"
    shutil.copytree(music / "low", mine / "bass" / "deeper")
    shutil.copytree(music / "high", mine / "treble")
    write_wav(mine / "treble" / "new.wav", tone(300, 3.0))
    write_wav(mine / "loose.wav", tone(310, 3.0))
    asked = ("evaluate", "catalogue", "--labels-from", mine, "--out", tmp_path / "out")
    found = loaded(run(*asked, "--json"))
    assert found["labels"]["not_found"] == ["treble/new.wav"]
    assert [(row["label"], row["tracks"]) for row in found["labels"]["rows"]] == [("bass", 6), ("treble", 6)]
    assert found["metrics"]["same label precision@1"]["mean"] > found["chance"]["same label precision@1"]
    written = json.loads((tmp_path / "out" / "results.json").read_text())
    assert (written["labels"], written["metrics"]) == (found["labels"], found["metrics"])
    shown, hub = in_one_line(run(*asked).stdout), found["largest_hub"]
    for said in (
        f"musicnn by the labels of {mine}, 12 tracks, 12 ask",
        "same label precision@10",
        "musicnn: labels of the nearest neighbours",
        f"note: {mine}: left out, directly in it, under no label: 1 file: loose.wav",
        "note: not in space 'musicnn', and left out: 1 of 13 files: treble/new.wav; `soundalike index",
        f"in {100 * hub['lists'] / 12:.1f} % of the lists of 10 ({hub['lists']} of 12)",
    ):
        assert said in shown
    both = loaded(run("evaluate", "models", "musicnn", "musicnn-mtt", "--labels-from", mine, "--json"))
    assert [one["tracks"] for one in both["labels"]] == [12, 12]
    assert both["labels"][0] == found["labels"]
    assert both["metrics"]["same label mAP"]["first_mean"] == pytest.approx(found["metrics"]["same label mAP"]["mean"])
    shown = run("evaluate", "models", "musicnn", "musicnn-mtt", "--labels-from", mine, COLUMNS="80").stdout
    assert "musicnn-mtt: labels of the nearest neighbours" in in_one_line(shown)
    assert "…" not in shown
    assert max(map(len, (line for line in shown.splitlines() if line.startswith("│")))) <= 80

    refused = run("evaluate", "catalogue", "--labels-from", mine / "treble", expect=1).stderr
    assert f"{mine / 'treble'}: holds no audio file under a label" in refused
    assert "no such folder" in run("evaluate", "catalogue", "--labels-from", mine / "no", expect=1).stderr
    shutil.rmtree(mine / "treble")
    assert (
        "fewer than two labels have two tracks in space 'musicnn', of 1 label: bass 6" in run(*asked, expect=1).stderr
    )


def test_the_page_shows_labels(circle: Search, tmp_path: Path) -> None:
    hostile = "<b>&\N{RIGHT-TO-LEFT OVERRIDE}"
    labels = folder(
        {key: label.replace("pop", hostile) for key, label in LABELS.items()}, LabelledFile("x", "x", "gone")
    )
    write_results(tmp_path, evaluate_space(circle, labels=labels))
    html = page([read_result(tmp_path)])
    text = checked(html).text
    assert "<b>&\N{RIGHT-TO-LEFT OVERRIDE} 3 3 0.6667 0.0000 – 1.0000 0.4000 0.2000 0.2000 – 0.2000 0.2000" in text
    assert "jazz 1 0 – – – – – –" in text
    assert f"{hostile} 2 jazz 1" in text
    assert "1 files of mine that are not in space circle" in text
    assert "Tracks of the same label" in [picture[0].text for picture in pictures(html)]
    before = read_result(tmp_path)
    older = {name: value for name, value in before.content.items() if name != "labels"}
    assert "by label" not in checked(page([replace(before, content=older)])).text


def test_the_page_shows_labels_of_both_spaces(search: Search, tmp_path: Path) -> None:  # noqa: F811
    labels = folder({f"t{number}": f"label {number % 4}" for number in range(30)})
    write_results(tmp_path, compare_spaces(search, "noisy", "clean", labels=labels))
    text = checked(page([read_result(tmp_path)])).text
    for space in ("noisy", "clean"):
        assert f"{space} by label" in text
        assert f"{space}: labels of the nearest neighbours" in text
    assert "30 tracks of mine, of which 30 ask." in text
