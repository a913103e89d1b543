"""From a cosine to a score: the one place that says how."""

import numpy as np
from numpy.typing import NDArray


def score_of(cosines: NDArray[np.float32] | NDArray[np.float64]) -> NDArray[np.float64]:
    """Scores (1 + cos) / 2: higher is better.

    Parameters
    ----------
    cosines : [...], of vectors whose norms may be off 1 by rounding

    Returns
    -------
    float64 [...], in [0, 1]
    """
    score: NDArray[np.float64] = np.clip((1 + np.asarray(cosines, np.float64)) / 2, 0, 1)
    return score
