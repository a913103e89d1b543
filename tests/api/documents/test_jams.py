"""What was found as JAMS: by the published schema, 0.3, and by hand."""

import json
import os
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from api.documents.jams import jams_of
from api.wiring import Soundalike
from retrieval.catalog.heard.music import heard_music
from retrieval.catalog.records import HeardMusic, TrackMelody
from tests.catalog.test_music import BEATLESS, FORM, MELODY, RHYTHM, played
from tests.conftest import Run, loaded

KEY_MODE = re.compile(r"^N|([A-G][b#]?)(:(major|minor|ionian|dorian|phrygian|lydian|mixolydian|aeolian|locrian))?$")
METADATA = {"curator", "annotator", "version", "corpus", "annotation_tools", "annotation_rules", "validation"}


def is_number(value: Any, low: float = 0.0, high: float = float("inf")) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and low <= value <= high


FITS: dict[str, Any] = {
    "beat": lambda value: value is None or is_number(value),
    "tempo": is_number,
    "key_mode": lambda value: KEY_MODE.fullmatch(value) is not None,
    "segment_open": lambda value: isinstance(value, str),
    "multi_segment": lambda value: isinstance(value["label"], str) and type(value["level"]) is int,
    "pitch_contour": lambda value: (
        type(value["index"]) is int and is_number(value["frequency"]) and type(value["voiced"]) is bool
    ),
}


def check(document: dict[str, Any]) -> dict[str, Any]:
    """The rules of the schema and of its namespaces; data by namespace."""
    json.dumps(document, allow_nan=False)
    assert set(document) == {"annotations", "file_metadata", "sandbox"}
    about = document["file_metadata"]
    assert {type(about[name]) for name in ("title", "artist", "release", "jams_version")} == {str}
    assert is_number(about["duration"])
    assert isinstance(about["identifiers"], dict)
    for annotation in document["annotations"]:
        data, metadata = annotation["data"], annotation["annotation_metadata"]
        assert {"namespace", "data", "annotation_metadata", "sandbox", "time", "duration"} == set(annotation)
        assert set(metadata) == METADATA | {"data_source"}
        assert set(metadata["curator"]) == {"name", "email"}
        if annotation["namespace"] == "pitch_contour":  # the one that is dense
            assert set(data) == {"time", "duration", "value", "confidence"}
            data = [dict(zip(data, one, strict=True)) for one in zip(*data.values(), strict=True)]
        for one in data:
            assert set(one) == {"time", "duration", "value", "confidence"}
            assert is_number(one["time"])
            assert is_number(one["duration"])
            assert is_number(one["confidence"], 0, 1)
            assert FITS[annotation["namespace"]](one["value"]), one
    return {annotation["namespace"]: annotation["data"] for annotation in document["annotations"]}


@pytest.fixture
def key(soundalike: Soundalike, rng: np.random.Generator) -> str:
    soundalike.catalog.store(replace(played("a", rng), title="Title"))
    soundalike.catalog.store(played("bare", rng, [], {}))
    return "a"


def test_a_track_by_hand(soundalike: Soundalike, key: str) -> None:
    track = soundalike.catalog.track(key)
    document = jams_of(track, heard_music(soundalike.engine, track.id))
    data = check(document)
    assert data["tempo"] == [{"time": 0.0, "duration": 3.0, "value": 120.25, "confidence": 0.9}]
    assert [(beat["time"], beat["value"]) for beat in data["beat"]] == [(0.1, 1), (0.6, 2), (1 / 3 + 1, 3), (1.7, 1)]
    assert [(one["value"], one["confidence"]) for one in data["key_mode"]] == [("F#:minor", 0.8)]
    assert [(part["time"], part["duration"], part["value"]) for part in data["segment_open"]] == [
        (0, 1, "intro"),
        (1, 1.5, "chorus"),
    ]
    assert [part["value"] for part in data["multi_segment"]] == [
        {"label": "A", "level": 0},
        {"label": "B", "level": 0},
        {"label": "A", "level": 1},
    ]
    contour = data["pitch_contour"]
    assert contour["time"] == [0, 0.01, 0.02, 0.03, 0.04, 0.05]
    assert [value["voiced"] for value in contour["value"]] == [False, True, True, True, True, False]
    assert [value["frequency"] for value in contour["value"]] == [12543.854, 261.626, 265.584, 12543.854, 8.176, 8.176]
    assert document["file_metadata"]["title"] == "Title"
    versions = {one["namespace"]: one["annotation_metadata"]["version"] for one in document["annotations"]}
    assert (versions["beat"], versions["segment_open"], versions["pitch_contour"]) == ("r-1", "s-1", "m-1")


def test_contours_are_numbered_by_the_silences_between_them(soundalike: Soundalike, key: str) -> None:
    nan = float("nan")
    pitches = np.array([69, nan, nan, 57, 57, nan, 81], np.float32)
    melody = TrackMelody(0.5, pitches, np.full_like(pitches, nan), 1.0)
    track = soundalike.catalog.track(key)
    contour = check(jams_of(track, HeardMusic(None, None, melody, {})))["pitch_contour"]
    voiced = [value for value in contour["value"] if value["voiced"]]
    assert [(value["index"], value["frequency"]) for value in voiced] == [(0, 440), (1, 220), (1, 220), (2, 880)]


def test_what_has_no_beats_has_none_and_what_is_not_known_no_annotation(soundalike: Soundalike, key: str) -> None:
    track = soundalike.catalog.track(key)
    beatless = replace(BEATLESS, key=None, mode=None)
    assert check(jams_of(track, HeardMusic(beatless, None, None, {}))) == {"tempo": [], "beat": [], "key_mode": []}
    unsaid = replace(RHYTHM, positions=np.array([0, 0, 0, 0]))
    assert {one["value"] for one in check(jams_of(track, HeardMusic(unsaid, FORM, MELODY, {})))["beat"]} == {None}


def test_what_was_found_is_told_and_what_was_not(
    run: Run, soundalike: Soundalike, rng: np.random.Generator, tmp_path: Path
) -> None:
    silent = replace(MELODY, pitches=np.full_like(MELODY.pitches, np.nan))
    soundalike.catalog.store(played("b", rng, [replace(BEATLESS, key=None, mode=None), FORM, silent]))
    told = run("export-jams", "b", tmp_path / "b.jams").stderr
    assert told == f"{tmp_path / 'b.jams'}: sections of b; no beats, no key, no melody\n"


def test_the_command(run: Run, key: str, tmp_path: Path) -> None:
    shown = loaded(run("export-jams", key))
    check(shown)
    told = run("export-jams", key, tmp_path / "a.jams").stderr
    assert told == f"{tmp_path / 'a.jams'}: beats, key, sections, melody of a\n"
    assert json.loads((tmp_path / "a.jams").read_text(encoding="utf-8")) == shown
    bare = run("export-jams", "bare", tmp_path / "bare.jams", expect=1)
    assert bare.stderr == "soundalike: track 'bare' has not been analysed: run `soundalike analyze bare`\n"
    assert not (tmp_path / "bare.jams").exists()
    assert "no track with key" in run("export-jams", "nosuch", expect=1).stderr
    assert "nowhere" in run("export-jams", key, tmp_path / "nowhere" / "a.jams", expect=1).stderr
    os.mkfifo(tmp_path / "pipe")
    for other in (tmp_path / "pipe", "/dev/null"):
        refused = run("export-jams", key, other, expect=1).stderr
        assert refused.endswith(f"{other}: is a device or a pipe; accepted: a file, or - for standard output\n")
        assert not Path(other).is_file()
