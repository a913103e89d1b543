"""How near two paths to the same embeddings come. numpy alone, so that it runs wherever an encoder does."""

import numpy as np
from numpy.typing import NDArray


def smallest_cosine(first: NDArray[np.float32], second: NDArray[np.float32]) -> float:
    """Of all pairs of rows [n, dim]."""
    norms = np.linalg.norm(first, axis=1) * np.linalg.norm(second, axis=1)
    return float(((first * second).sum(axis=1) / norms).min())
