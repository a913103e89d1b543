"""Names of keys: every spelling of a tonic, relations worked by hand, and the names that the analysis gives."""

import pytest

from encoders.analysis import findings
from retrieval.catalog.conditions import SECTION_LABELS
from retrieval.catalog.heard.music import PARTS, PHRASES
from retrieval.filters.keys import MODES, TONICS, read_key, relation


def test_what_is_stored_has_the_names_that_the_analysis_gives() -> None:
    assert (TONICS, MODES, SECTION_LABELS) == (findings.TONICS, findings.MODES, findings.SECTION_LABELS)
    assert (PARTS, PHRASES) == (findings.COARSE, findings.FINE)


@pytest.mark.parametrize(
    ("names", "tonic"),
    [
        (("C", "c", "B#", "B♯"), "C"),
        (("C#", "Db", "d♭"), "Db"),
        (("D#", "Eb"), "Eb"),
        (("E", "Fb"), "E"),
        (("F", "E#"), "F"),
        (("F#", "Gb", " gb "), "F#"),
        (("A#", "Bb", "bb"), "Bb"),
        (("B", "b", "Cb"), "B"),
    ],
)
def test_every_spelling_is_one_tonic(names: tuple[str, ...], tonic: str) -> None:
    for name in names:
        assert read_key(name) == (tonic, None)
        assert read_key(f"{name.strip()} minor") == (tonic, "minor")
        assert read_key(f"{name.strip()}  Major") == (tonic, "major")


@pytest.mark.parametrize("name", ["", "H", "Am", "A minor third", "C##", "minor", "A dorian", 3.0, True, None])
def test_what_is_no_key_is_refused(name: object) -> None:
    with pytest.raises(ValueError, match="is not the name of a key"):
        read_key(name)


@pytest.mark.parametrize(
    ("ours", "theirs", "expected"),
    [
        ("A minor", "A minor", "same"),
        ("C major", "G major", "fifth"),
        ("C major", "F major", "fifth"),
        ("B minor", "F# minor", "fifth"),
        ("C major", "A minor", "relative"),
        ("A minor", "C major", "relative"),
        ("F# minor", "A major", "relative"),
        ("Eb major", "Eb minor", "parallel"),
        ("C major", "E minor", "other"),
        ("C major", "Eb minor", "other"),
        ("A minor", "F# major", "other"),
        ("C major", "D major", "other"),
    ],
)
def test_how_keys_stand_to_each_other(ours: str, theirs: str, expected: str) -> None:
    first, second = (tuple(name.split(" ")) for name in (ours, theirs))
    assert relation(first, second) == expected  # type: ignore[arg-type]
