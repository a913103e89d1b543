"""The packets of a source's audio, and which audio that is: a hash of what they carry.

SHA-256 of codec, rate and channels, and of the packets of the audio stream that is decoded, one behind the other: so
that neither tags, covers and padding, nor where a container keeps its index or how it cuts PCM into packets, make
another audio of it. What a container says of the codec by itself is left out, as comments are among it (Vorbis, FLAC).
Nothing is decoded.
"""

from __future__ import annotations

import hashlib
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import av

from encoders.errors import MediaError, UnreadableMediaError, called
from encoders.media.files.content import content_of
from encoders.media.files.parts import opened, parts_of, unreadable

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from av.audio.stream import AudioStream
    from av.container import InputContainer


@dataclass
class Account:
    """What is learnt of a source while its packets come by.

    Attributes
    ----------
    format, codec : FFmpeg's names of the last part's container and codec
    rate : of the last part, Hz
    declared_s : what FFmpeg takes from the container for the last part's length in seconds; 0 for nothing
    is_counted : whether the container has an index of all its packets, by which that is
    links : of a chain that were opened; 1 where it is none
    lost_links : that could not be
    corrupt : packets that could not be decoded
    is_broken_off : whether a part could not be read on to its end
    has_end : whether the end is there, as far as the format marks it
    last : the last packet that came
    """

    format: str = ""
    codec: str = ""
    rate: int = 0
    declared_s: float = 0.0
    is_counted: bool = False
    links: int = 0
    lost_links: int = 0
    packets: int = 0
    corrupt: int = 0
    is_broken_off: bool = False
    has_end: bool = True
    last: bytes = b""
    _hash: hashlib._Hash = field(default_factory=hashlib.sha256)

    @property
    def audio_hash(self) -> str:
        """The hash of the audio that came by, 64 hexadecimal digits."""
        return self._hash.hexdigest()

    @property
    def notes(self) -> tuple[str, ...]:
        """What was left out, a clause each."""
        counts = (
            (self.corrupt, "corrupt audio packets"),
            (self.lost_links, "streams of the chain that cannot be read"),
        )
        return tuple(f"skipped {count} {what}" for count, what in counts if count)

    def begin(self, container: InputContainer, stream: AudioStream) -> None:
        """A part begins, none of whose packets was decoded yet."""
        codec = stream.codec_context
        self.links += 1
        self.format, self.codec, self.rate = container.format.name, codec.codec.canonical_name, codec.sample_rate
        self.is_counted = self.format.startswith("mov") and stream.frames > 0
        self.declared_s = float(stream.duration * stream.time_base) if stream.duration and stream.time_base else 0.0
        self._hash.update(f"{self.codec} {self.rate} {codec.channels}\n".encode())

    def take(self, packet: av.Packet[AudioStream]) -> None:
        """A packet came; the one that is empty at the end of a part counts for nothing."""
        if packet.size:
            self.packets += 1
            self._hash.update(packet)
            self.last = bytes(packet)


def packets_of(
    source: Path | bytes, name: str, account: Account
) -> Iterator[tuple[InputContainer, AudioStream, av.Packet[AudioStream]]]:
    """Yield every packet of the first audio stream, of each link where the source is a chain; `name` is for errors.

    Raises
    ------
    UnreadableMediaError
        If it is missing, empty, foreign, or holds no packet of audio.
    NoAudioError
        If there is no audio stream.
    """
    refusals: list[MediaError] = []
    with content_of(source, name) as content:
        parts = parts_of(content)
        account.has_end = parts.has_end
        for span in parts.spans:
            with ExitStack() as stack:
                try:
                    container, stream = stack.enter_context(opened(source, content, span, name))
                except av.FFmpegError as error:
                    refusals.append(unreadable(name, error))
                    continue
                except MediaError as error:
                    refusals.append(error)
                    continue
                account.begin(container, stream)
                packets = container.demux(stream)
                while packet := _next(packets, name, account):
                    account.take(packet)
                    yield container, stream, packet
    account.lost_links = len(refusals)
    if not account.packets:
        raise refusals[0] if refusals else UnreadableMediaError(name, "the audio stream is empty")


def _next(packets: Iterator[av.Packet[AudioStream]], name: str, account: Account) -> av.Packet[AudioStream] | None:
    """The next packet, none where the part ends or cannot be read on."""
    try:
        return next(packets, None)
    except (av.InvalidDataError, av.ArgumentError, av.BlockingIOError):  # the last where no packet is found for long
        account.is_broken_off = True
        return None
    except av.FFmpegError as error:
        raise unreadable(name, error) from error


def identify(source: Path | bytes) -> str:
    """The hash of a source's audio, 64 hexadecimal digits, as decoding says it.

    Raises
    ------
    UnreadableMediaError, NoAudioError
        As of :func:`packets_of`.
    """
    account = Account()
    for _ in packets_of(source, called(source), account):
        pass
    return account.audio_hash
