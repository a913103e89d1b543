"""Decode sound in a supervised child process (:mod:`encoders.media.decoder_child`)."""

from __future__ import annotations

import tempfile
from dataclasses import asdict
from typing import TYPE_CHECKING

from encoders.media.child_process import ChildProcess
from encoders.media.decoded import DEFAULT_LIMITS, DecodedAudio, MediaLimits

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from encoders.media.native import NativeAudio


class DecoderProcess(ChildProcess):
    """A decoder in a child process of its own, which starts with the first file; for one thread at a time.

    Parameters and errors as of :class:`encoders.media.child_process.ChildProcess`.
    """

    module = "encoders.media.decoder_child"

    def decode(
        self, source: Path | bytes, *, sample_rates: Sequence[int], limits: MediaLimits = DEFAULT_LIMITS
    ) -> DecodedAudio:
        """Decode as :func:`encoders.media.decode.decode` does.

        Raises
        ------
        MediaError
            The same subclass; UnreadableMediaError also for a timeout or a crash of the decoder.
        """
        rates = list(dict.fromkeys(sample_rates))
        answer, waveforms = self.ask(source, {"sample_rates": rates, "limits": asdict(limits)})
        return DecodedAudio(
            dict(zip(answer["rates"], waveforms, strict=True)),
            answer["duration_s"],
            audio_hash=answer["audio_hash"],
            partial=answer["partial"],
            notes=tuple(answer["notes"]),
        )

    def identify(self, source: Path | bytes) -> str:
        """Which audio it is, as :func:`encoders.media.files.packets.identify` and `decode` say: 64 hexadecimal digits.

        Raises
        ------
        MediaError
            As of :meth:`decode`, but for what is found out only by decoding.
        """
        answer, _ = self.ask(source, {"identify": True})
        return str(answer["audio_hash"])

    def comments(self, source: Path | bytes) -> dict[str, str]:
        """What the container says of its music, as :func:`encoders.media.files.comments.comments` has it.

        Raises
        ------
        MediaError
            If it cannot be opened.
        """
        answer, _ = self.ask(source, {"comments": True})
        return dict(answer["comments"])

    def decode_native(self, source: Path, *, limits: MediaLimits = DEFAULT_LIMITS) -> NativeAudio:
        """Decode as :func:`encoders.media.native.decode_native` does.

        Raises
        ------
        MediaError
            As of :meth:`decode`.
        """
        with tempfile.NamedTemporaryFile() as file:
            from encoders.media.native import Written, mapped

            answer, _ = self.ask(source, {"samples_to": file.name, "limits": asdict(limits)})
            return mapped(file, Written(**answer["written"]))


def decode_beside(
    source: Path | bytes, *, sample_rates: Sequence[int], limits: MediaLimits = DEFAULT_LIMITS
) -> DecodedAudio:
    """Decode in a child process while this one does something else; uploads as by `decode_untrusted`."""
    if isinstance(source, bytes):
        return decode_untrusted(source, sample_rates=sample_rates, limits=limits)
    with DecoderProcess() as decoder:
        return decoder.decode(source, sample_rates=sample_rates, limits=limits)


def decode_untrusted(
    data: bytes,
    *,
    sample_rates: Sequence[int],
    limits: MediaLimits = DEFAULT_LIMITS,
    timeout_s: float = 30.0,
    memory_bytes: int = 2 << 30,
) -> DecodedAudio:
    """Decode an upload in a child process that sees no other upload; parameters and errors as of `DecoderProcess`."""
    with DecoderProcess(timeout_s=timeout_s, memory_bytes=memory_bytes) as decoder:
        return decoder.decode(data, sample_rates=sample_rates, limits=limits)
