"""Chromaprint: a fingerprint that every encoding of one recording shares, and no other recording has.

L. Lalinský, How does Chromaprint work? (oxygene.sk/2011/01/how-does-chromaprint-work): the chromagram as an image, and
the box filters of Ke, Hoiem & Sukthankar (Computer vision for music identification, CVPR 2005) on it, quantised to 32
bits. 8.08 words a second of the first two minutes, as AcoustID takes them. The library brings any sample rate to its
own: from 11,025, 16,000 and 22,050 Hz more than 99.9 % of the bits are the same.

The library computes it: libchromaprint through `pyacoustid`, both where they are installed. Nothing here needs them.
"""

import numpy as np
from numpy.typing import NDArray

from encoders.errors import FingerprintError

try:
    import chromaprint
except ImportError:  # the binding is not there, or did not find the library
    chromaprint = None

SAMPLE_RATE = 11_025
"""The library's own: what to decode to where nothing else is wanted of the sound."""
MAX_DURATION_S = 120.0


def is_available() -> bool:
    """Whether fingerprints can be computed here."""
    return chromaprint is not None


def fingerprint(waveform: NDArray[np.float32], sample_rate: int) -> NDArray[np.int32]:
    """The fingerprint of a track's first two minutes.

    Parameters
    ----------
    waveform : float32 [samples], mono; what is beyond [-1, 1] is clipped
    sample_rate : Hz

    Returns
    -------
    int32 [n_words], empty for less than about 3 s

    Raises
    ------
    FingerprintError
        If the library is not installed, or fails.
    """
    if chromaprint is None:
        raise FingerprintError("libchromaprint or its binding, pyacoustid, is not installed")
    samples = (waveform[: round(MAX_DURATION_S * sample_rate)].clip(-1, 1) * 32767).astype(np.int16)
    try:
        fingerprinter = chromaprint.Fingerprinter()
        fingerprinter.start(sample_rate, 1)
        fingerprinter.feed(samples.tobytes())
        words, _ = chromaprint.decode_fingerprint(fingerprinter.finish())
    except chromaprint.FingerprintError as error:
        raise FingerprintError(f"libchromaprint refused {len(samples)} samples at {sample_rate} Hz") from error
    return np.array(words, np.uint32).view(np.int32)
