"""Tracker modules of Protracker and its kin, played by libopenmpt, which tells the row.

When a row is played is exact; which rows are beats is custom: every fourth, or every eighth where that were faster than
185 a minute, and four beats a bar, from the first row of a pattern. A module is taken where nothing speaks against it:
its patterns are of whole beats, no other phase of a beat has more notes than the first by more than a tenth, and nine
of ten beats keep the tempo. Its bars count where all its patterns are of whole bars.

libopenmpt (BSD; Debian: libopenmpt0) is called through ctypes.
"""

from __future__ import annotations

import ctypes
import ctypes.util
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from benchmarks.music.truth.sources import SAMPLE_RATE

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

_ROWS_A_BEAT, _BEATS_A_BAR = (4, 8), 4
_FASTEST_BPM = 185.0
_STEP = 44  # samples between looks at the row: 2 ms
_LONGEST_S = 360
_PREVAILS = 0.9
_NOTE, _LAST_NOTE = 0, 120
_TEMPO_TOLERANCE, _STEADY = 0.02, 0.9


@dataclass(frozen=True, eq=False)
class Played:
    """A module's sound, when each row began, which of its pattern it was, and how many notes begin there."""

    waveform: NDArray[np.float32]
    rows_s: NDArray[np.float64]
    numbers: NDArray[np.int64]
    notes: NDArray[np.int64]
    pattern_lengths: frozenset[int]


@dataclass(frozen=True)
class Beats:
    """When beats are, and where in the bar, which is not known of all modules."""

    beats_s: list[float]
    positions: list[int | None]


def play(path: Path, library: str | None = None) -> Played:
    """Play a module once.

    Raises
    ------
    ValueError
        If it is no module, or libopenmpt is not here.
    """
    mpt = _library(library)
    data = path.read_bytes()
    module = mpt.openmpt_module_create_from_memory2(data, len(data), None, None, None, None, None, None, None)
    if not module:
        raise ValueError("no module")
    try:
        return _played(mpt, module)
    finally:
        mpt.openmpt_module_destroy(module)


def beats_of(played: Played) -> Beats:
    """Beats of a module whose notes keep to them.

    Raises
    ------
    ValueError
        If they do not; says why.
    """
    row_s = float(np.median(np.diff(played.rows_s)))
    rows = next((rows for rows in _ROWS_A_BEAT if 60 / (rows * row_s) <= _FASTEST_BPM), None)
    if rows is None:
        raise ValueError(f"a row lasts only {1000 * row_s:.0f} ms")
    if any(length % rows for length in played.pattern_lengths):
        raise ValueError(f"patterns of {sorted(played.pattern_lengths)} rows, a beat of {rows}")
    counts = np.bincount(played.numbers % rows, weights=played.notes, minlength=rows)
    if counts[0] < _PREVAILS * counts[1:].max():
        raise ValueError(f"notes on the phases of a beat: {counts.astype(int).tolist()}")
    on_beat = played.numbers % rows == 0
    beats_s = played.rows_s[on_beat]
    gaps = np.diff(beats_s)
    if 60 / float(np.median(gaps)) > _FASTEST_BPM:
        raise ValueError("its rows are of unequal length")
    steady = np.abs(gaps - np.median(gaps)) <= _TEMPO_TOLERANCE * np.median(gaps)
    if steady.mean() < _STEADY:
        raise ValueError(f"only {steady.mean():.0%} of its beats keep the tempo")
    bars = all(length % (rows * _BEATS_A_BAR) == 0 for length in played.pattern_lengths)
    positions = [int(number // rows % _BEATS_A_BAR) + 1 if bars else None for number in played.numbers[on_beat]]
    return Beats(beats_s.tolist(), positions)


def _played(mpt: ctypes.CDLL, module: int) -> Played:
    mpt.openmpt_module_set_repeat_count(module, 0)
    buffer = (ctypes.c_float * _STEP)()
    blocks: list[NDArray[np.float32]] = []
    rows: list[tuple[float, int, int]] = []  # seconds, pattern, row
    last = (-1, -1)
    channels = mpt.openmpt_module_get_num_channels(module)
    while len(blocks) * _STEP < _LONGEST_S * SAMPLE_RATE:
        read = mpt.openmpt_module_read_float_mono(module, SAMPLE_RATE, _STEP, buffer)
        if not read:
            break
        order, row = mpt.openmpt_module_get_current_order(module), mpt.openmpt_module_get_current_row(module)
        if (order, row) != last:
            rows.append((len(blocks) * _STEP / SAMPLE_RATE, mpt.openmpt_module_get_current_pattern(module), row))
            last = (order, row)
        blocks.append(np.frombuffer(buffer, dtype=np.float32)[:read].copy())
    lengths = Counter(pattern for _, pattern, _ in rows)
    notes = [
        sum(0 < _cell(mpt, module, pattern, row, channel) <= _LAST_NOTE for channel in range(channels))
        for _, pattern, row in rows
    ]
    return Played(
        np.concatenate(blocks),
        np.array([seconds for seconds, _, _ in rows]),
        np.array([row for _, _, row in rows]),
        np.array(notes),
        frozenset(mpt.openmpt_module_get_pattern_num_rows(module, pattern) for pattern in lengths),
    )


def _cell(mpt: ctypes.CDLL, module: int, pattern: int, row: int, channel: int) -> int:
    return int(mpt.openmpt_module_get_pattern_row_channel_command(module, pattern, row, channel, _NOTE))


def _library(name: str | None) -> ctypes.CDLL:
    found = name or ctypes.util.find_library("openmpt")
    if found is None:
        raise ValueError("libopenmpt is not here (Debian: libopenmpt0)")
    mpt = ctypes.CDLL(found)
    pointer = ctypes.c_void_p
    mpt.openmpt_module_create_from_memory2.restype = pointer
    mpt.openmpt_module_create_from_memory2.argtypes = [ctypes.c_char_p, ctypes.c_size_t, *[pointer] * 7]
    mpt.openmpt_module_read_float_mono.restype = ctypes.c_size_t
    mpt.openmpt_module_read_float_mono.argtypes = [pointer, ctypes.c_int32, ctypes.c_size_t, pointer]
    mpt.openmpt_module_set_repeat_count.argtypes = [pointer, ctypes.c_int32]
    mpt.openmpt_module_get_pattern_row_channel_command.argtypes = [pointer, *[ctypes.c_int32] * 4]
    mpt.openmpt_module_get_pattern_row_channel_command.restype = ctypes.c_uint8
    mpt.openmpt_module_get_pattern_num_rows.argtypes = [pointer, ctypes.c_int32]
    for what in ("destroy", "get_num_channels", "get_current_order", "get_current_row", "get_current_pattern"):
        getattr(mpt, f"openmpt_module_{what}").argtypes = [pointer]
    return mpt
