import numpy as np

from benchmarks.music.plots import Seen, sheet
from encoders.analysis.findings import COARSE, Form, Highlight, Key, Loop, Rhythm, Section


def test_a_sheet_has_four_panels_a_track_and_marks_its_parts(rng):
    waveform = rng.normal(scale=0.1, size=60 * 22_050).astype(np.float32)
    beats = np.arange(0, 60, 0.5)
    rhythm = Rhythm(120.0, beats, np.arange(len(beats)) % 4 + 1, 4, 0.9)
    parts = (
        Section(0.0, 20.0, COARSE, "verse", "A", 0.8),
        Section(20.0, 60.0, COARSE, "chorus", "B", 0.7),
    )
    form = Form(parts, (Highlight(20.0, 40.0, 0.9),), (Loop(0.0, 16.0, 0.95),))
    silent = Rhythm(None, np.empty(0), np.empty(0, dtype=np.int64), None, 0.0)
    tracks = [
        Seen("a", waveform, rhythm, Key("A", "minor", 0.5), form),
        Seen("b", waveform, silent, Key("C", "major", 0.0), Form((), (), ())),
    ]
    figure = sheet(tracks)
    assert len(figure.axes) == 8
    similarity, empty = figure.axes[:2]
    assert [text.get_text() for text in similarity.texts] == ["verse A 0.8", "chorus B 0.7"]
    assert similarity.get_title() == "a\n120.0 bpm, 4 a bar (0.90), A minor (0.50)"
    assert "no beat" in empty.get_title()
