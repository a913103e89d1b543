"""What may be listened to."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from encoders.errors import NonFiniteError, ShapeError

if TYPE_CHECKING:
    from numpy.typing import NDArray


def check_waveform(waveform: NDArray[np.float32]) -> None:
    """Refuse what is no sound of one channel.

    Raises
    ------
    ShapeError
        If it is not mono, or empty.
    NonFiniteError
        If it holds NaN or infinity.
    """
    if waveform.ndim != 1 or not len(waveform):
        raise ShapeError(f"a mono waveform has shape [samples], not {list(waveform.shape)}")
    if not np.isfinite([waveform.min(), waveform.max()]).all():
        raise NonFiniteError("the waveform holds NaN or infinity")
