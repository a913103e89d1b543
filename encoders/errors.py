"""What can go wrong between a file and its embedding: one root, subclasses by what the caller can do about it."""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


UPLOAD = "upload"
"""What a file is called that came from elsewhere, as bytes."""


def called(source: Path | bytes) -> str:
    """What an error calls a file."""
    return UPLOAD if isinstance(source, bytes) else str(source)


class EncoderError(Exception):
    """Root of every exception this package raises on purpose."""


class MediaError(EncoderError):
    """One media file or upload cannot be used.

    Attributes
    ----------
    source : path of the file, or `UPLOAD` for bytes
    reason : one clause without the source, fit for a user
    """

    def __init__(self, source: str, reason: str) -> None:
        super().__init__(source, reason)
        self.source = source
        self.reason = reason

    def __str__(self) -> str:
        return f"{self.source}: {self.reason}"


class UnreadableMediaError(MediaError):
    """No audio can be decoded: missing, damaged, foreign, or too costly to decode."""


class NoAudioError(MediaError):
    """A readable container without an audio stream."""


class NoVideoError(MediaError):
    """A readable container without a video stream or picture; a cover of an album is none."""


class TooLargeError(MediaError):
    """More pixels in a picture than the limits allow."""


class TooShortError(MediaError):
    """Less audio, or less of a video, than the limits ask for."""


class TooLongError(MediaError):
    """More audio than the limits allow."""


class SilentAudioError(MediaError):
    """Nothing in the audio rises above the silence threshold."""


class AudioWriteError(EncoderError):
    """Audio cannot be written to this file."""

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(f"{path}: cannot be written: {reason}")
        self.path = path
        self.reason = reason


class RetargetError(EncoderError):
    """A track cannot be brought to the asked length.

    Attributes
    ----------
    field : what was asked that cannot be
    accepted : what could be
    """

    def __init__(self, field: str, reason: str, accepted: str) -> None:
        super().__init__(f"{field}: {reason}; accepted: {accepted}")
        self.field = field
        self.accepted = accepted


class ShapeError(EncoderError):
    """An array has another shape than the function or encoder takes."""


class NonFiniteError(EncoderError):
    """An array holds NaN or infinity."""


class ZeroEmbeddingError(EncoderError):
    """The mean of the segment embeddings is zero, so it has no direction."""


class DeviceError(EncoderError):
    """The asked torch device is not there."""


class FingerprintError(EncoderError):
    """Chromaprint is not installed, or failed."""


class WeightsError(EncoderError):
    """Weights cannot be fetched, read or trusted."""


class MissingWeightsError(WeightsError):
    """The encoder's weights file is not in the weights directory."""


class CheckpointMismatchError(WeightsError):
    """A checkpoint does not fit the encoder: other keys, shapes, contents or hash."""


class UnknownEncoderError(EncoderError):
    """No encoder is registered under this name."""

    def __init__(self, name: str, known: Sequence[str], cause: Exception | str | None = None) -> None:
        close = [] if name in known else get_close_matches(name, known)
        hint = f"; did you mean {' or '.join(close)}?" if close else ""
        why = f": {cause}" if cause else ""
        super().__init__(
            f"encoder {name!r} of yours cannot be used{why} (SOUNDALIKE_ENCODERS)"
            if name in known and cause
            else f"unknown encoder {name!r}{why}{hint} (known: {', '.join(known)})"
        )
        self.name = name
        self.known = tuple(known)
