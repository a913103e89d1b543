"""What was found in a track as JAMS, which mir_eval's and other programs of the field read.

Namespaces: `tempo`, `beat` (value: the position in the bar), `key_mode`, `segment_open` (the labels of the parts),
`multi_segment` (groups of parts and phrases; level 0 is the coarsest, as JAMS counts) and `pitch_contour` (in Hz; 0
where there is no melody). What is not known of a track has no annotation; what has no beats has an empty one.

Humphrey et al., JAMS: a JSON annotated music specification for reproducible MIR research, ISMIR 2014; schema 0.3.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from retrieval.catalog.heard.music import MELODY_STAGE, RHYTHM_STAGE, STRUCTURE_STAGE
from retrieval.errors import NotAnalysedError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from retrieval.catalog.records import HeardMusic, Track, TrackForm, TrackMelody, TrackRhythm

JAMS_VERSION = "0.3.4"

Observation = tuple[float, float, Any, float]
"""Time and duration in seconds, value, confidence."""


def jams_of(track: Track, heard: HeardMusic) -> dict[str, Any]:
    """A JAMS document of a track.

    Raises
    ------
    NotAnalysedError
        If nothing of its music is known.
    """
    found: list[tuple[str, str, Any]] = []
    if heard.rhythm is not None:
        found += [(RHYTHM_STAGE, *one) for one in _of_rhythm(heard.rhythm, track.duration_s)]
    if heard.form is not None:
        found += [(STRUCTURE_STAGE, *one) for one in _of_form(heard.form)]
    if heard.melody is not None:
        found.append((MELODY_STAGE, "pitch_contour", _contour(heard.melody)))
    if not found:
        raise NotAnalysedError(f"track {track.key!r} has not been analysed: run `soundalike analyze {track.key}`")
    return {
        "annotations": [
            {
                "namespace": namespace,
                "data": data,
                "annotation_metadata": _metadata(heard.versions.get(stage, "")),
                "time": 0.0,
                "duration": track.duration_s,
                "sandbox": {},
            }
            for stage, namespace, data in found
        ],
        "file_metadata": {
            "title": track.title or "",
            "artist": track.artist or "",
            "release": track.album or "",
            "duration": track.duration_s,
            "identifiers": {"soundalike": track.key, "sha256": track.content_hash},
            "jams_version": JAMS_VERSION,
        },
        "sandbox": {},
    }


def found_in(document: dict[str, Any]) -> dict[str, bool]:
    """What a document tells of the music, by name, and whether anything of it was found."""
    data = {one["namespace"]: one["data"] for one in document["annotations"]}
    contour = data.get("pitch_contour", {"value": []})["value"]
    sparse = {"beats": "beat", "key": "key_mode", "sections": "segment_open"}
    found = {name: bool(data.get(namespace)) for name, namespace in sparse.items()}
    return found | {"melody": any(value["voiced"] for value in contour)}


def _of_rhythm(rhythm: TrackRhythm, duration_s: float) -> list[tuple[str, Any]]:
    tempo = [] if rhythm.tempo_bpm is None else [(0.0, duration_s, rhythm.tempo_bpm, rhythm.confidence)]
    beats = zip(rhythm.beats_s.tolist(), rhythm.positions.tolist(), strict=True)
    whole = (0.0, duration_s, f"{rhythm.key}:{rhythm.mode}", rhythm.key_confidence)
    return [
        ("tempo", _sparse(tempo)),
        ("beat", _sparse((beat_s, 0.0, position or None, rhythm.confidence) for beat_s, position in beats)),
        ("key_mode", _sparse([whole] if rhythm.key and rhythm.mode else [])),
    ]


def _of_form(form: TrackForm) -> list[tuple[str, Any]]:
    spans = [(part, part.start_s, part.end_s - part.start_s) for part in form.sections]
    labels = ((start_s, length_s, part.label, part.confidence) for part, start_s, length_s in spans if part.level == 1)
    groups = (
        (start_s, length_s, {"label": part.group, "level": part.level - 1}, part.confidence)
        for part, start_s, length_s in spans
    )
    return [("segment_open", _sparse(labels)), ("multi_segment", _sparse(groups))]


def _contour(melody: TrackMelody) -> dict[str, list[Any]]:
    """A dense list: contours are numbered, one from each silence to the next."""
    is_voiced = ~np.isnan(melody.pitches)
    begins = is_voiced & ~np.concatenate([[False], is_voiced[:-1]])
    numbers = np.maximum(np.cumsum(begins) - 1, 0)
    pitches = np.where(is_voiced, melody.pitches, melody.unvoiced).astype(np.float64)
    hz = np.where(np.isnan(pitches), 0.0, 440.0 * 2 ** ((pitches - 69) / 12)).round(3)
    steps = zip(numbers.tolist(), hz.tolist(), is_voiced.tolist(), strict=True)
    count = len(melody.pitches)
    return {
        "time": (np.arange(count) * melody.step_s).round(6).tolist(),
        "duration": [0.0] * count,
        "value": [{"index": number, "frequency": pitch, "voiced": voiced} for number, pitch, voiced in steps],
        "confidence": [melody.confidence] * count,
    }


def _sparse(observations: Iterable[Observation]) -> list[dict[str, Any]]:
    names = ("time", "duration", "value", "confidence")
    return [dict(zip(names, one, strict=True)) for one in observations]


def _metadata(version: str) -> dict[str, Any]:
    return {
        "curator": {"name": "", "email": ""},
        "annotator": {},
        "version": version,
        "corpus": "",
        "annotation_tools": "soundalike",
        "annotation_rules": "",
        "validation": "",
        "data_source": "program",
    }
