"""The Music Structure Analysis Framework (Nieto and Bello, 2016), in a Python of its own that has what it needs.

    pip install msaf==0.1.80 numpy==1.26.4 scipy==1.11.4 pandas==2.1.4 scikit-learn==1.4.2 'librosa<0.11'
    python -I benchmarks/music/systems/msaf_process.py sf:fmc2d scluster:scluster

Reads paths of WAV files from standard input, a line each, and answers with a line of JSON: of every pair of algorithms
(boundaries:labels) the boundaries in seconds and the labels between them. It leaves files in the folder that it is
started in. Nothing of this package is imported here.

What it says is what it would say by itself, but sooner. It separates harmony from percussion twice for each kind of
feature, by scipy's median filters, half a minute of a core for a song; here once, by a filter that gives the same
numbers. It takes the features in its file for those of any audio of that name: here they are of one song. And it
writes estimations that nobody reads: here not.
"""

import contextlib
import json
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.floating[Any]]


def median_filter(values: Values, size: Sequence[int], mode: str) -> Values:
    """As scipy's for values [m, n] and an odd window along one axis, reflected at the ends."""
    if mode != "reflect" or values.ndim != 2 or min(size) != 1 or max(size) % 2 == 0:
        raise ValueError(f"a median along one of two axes, reflected, not {size} of {values.ndim}, {mode}")
    along_rows = values if size[0] == 1 else values.T
    half = max(size) // 2
    medians = _medians(np.pad(along_rows, ((0, 0), (half, half)), mode="symmetric"), 2 * half + 1)
    return medians if size[0] == 1 else medians.T


@numba.njit  # type: ignore[untyped-decorator]
def _medians(rows: Values, size: int) -> Values:
    count = rows.shape[1] - size + 1
    medians = np.empty((rows.shape[0], count), rows.dtype)
    for row in range(rows.shape[0]):
        window = np.sort(rows[row, :size])
        medians[row, 0] = window[size // 2]
        for start in range(1, count):
            place = np.searchsorted(window, rows[row, start - 1])
            new = rows[row, start + size - 1]
            while place + 1 < size and window[place + 1] < new:
                window[place] = window[place + 1]
                place += 1
            while place > 0 and window[place - 1] > new:
                window[place] = window[place - 1]
                place -= 1
            window[place] = new
            medians[row, start] = window[size // 2]
    return medians


def hasten() -> None:
    """Have MSAF separate a song once, by the filter above, and write no estimations."""
    import librosa
    import msaf.base
    import msaf.input_output

    librosa.decompose.median_filter = median_filter
    last: list[tuple[Values, tuple[Values, Values]]] = []

    def separated(features: Any) -> tuple[Values, Values]:
        if not last or not np.array_equal(last[0][0], features._audio):
            last[:] = [(features._audio, librosa.effects.hpss(features._audio))]
        return last[0][1]

    msaf.base.Features.compute_HPSS = separated
    msaf.input_output.save_estimations = lambda *_, **__: None


def main() -> None:
    """Answer until there are no more questions."""
    warnings.simplefilter("ignore")
    answers = sys.stdout
    with contextlib.redirect_stdout(sys.stderr):
        import msaf

        hasten()
        for line in sys.stdin:
            Path(msaf.config.features_tmp_file).unlink(missing_ok=True)
            said = {}
            for pair in sys.argv[1:]:
                bounds, labels = pair.split(":")
                times, groups = msaf.process(line.strip(), boundaries_id=bounds, labels_id=labels, feature="pcp")
                said[pair] = [[float(time) for time in times], [int(group) for group in groups]]
            print(json.dumps(said), file=answers, flush=True)


if __name__ == "__main__":
    main()
