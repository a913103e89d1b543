"""Names of musical keys: twelve tonics, each with one spelling that is stored, and two modes."""

import re

TONICS = ("C", "Db", "D", "Eb", "E", "F", "F#", "G", "Ab", "A", "Bb", "B")
"""As they are stored, by semitones above C."""
MODES = ("major", "minor")

_NAMED = re.compile(r"([A-G])([#♯b♭]?)(?: +(major|minor))?", re.IGNORECASE)
_SEMITONES = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}
_ACCIDENTALS = {"": 0, "#": 1, "♯": 1, "b": -1, "♭": -1}


def read_key(name: object) -> tuple[str, str | None]:
    """The stored tonic that a name means, and its mode where the name says it: ``Gb minor`` is ``F#``, ``minor``.

    Raises
    ------
    ValueError
        If it is no name of a key.
    """
    named = _NAMED.fullmatch(name.strip()) if isinstance(name, str) else None
    if named is None:
        raise ValueError(f"{name!r} is not the name of a key")
    letter, accidental, mode = named.groups()
    semitone = _SEMITONES[letter.upper()] + _ACCIDENTALS[accidental.lower()]
    return TONICS[semitone % len(TONICS)], mode and mode.lower()


def relation(ours: tuple[str, str], theirs: tuple[str, str]) -> str:
    """How another key, (tonic, mode), stands to ours: as mir_eval's weighted key score tells them apart.

    Returns
    -------
    ``same``; ``fifth``: the tonic a fifth above or below, of equal mode; ``relative``: of the same notes;
    ``parallel``: of the same tonic; or ``other``
    """
    (our_tonic, our_mode), (their_tonic, their_mode) = ours, theirs
    above = (TONICS.index(their_tonic) - TONICS.index(our_tonic)) % len(TONICS)
    if our_mode == their_mode:
        return {0: "same", 7: "fifth", 5: "fifth"}.get(above, "other")
    relative = 9 if our_mode == "major" else 3
    return {0: "parallel", relative: "relative"}.get(above, "other")
