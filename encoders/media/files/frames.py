"""How long a frame of MPEG audio or ADTS says that it is: all that raw frames say of where they end.

ISO/IEC 11172-3 and 13818-3 (layers I to III), with the quarter rates that are called MPEG 2.5; ISO/IEC 13818-7 (ADTS).
"""

from __future__ import annotations

HEADER = 6
"""Bytes of a frame in which its length stands."""

_RATES = (44_100, 48_000, 32_000)
_OF_TWO = (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160)
_KBPS = {
    (1, 1): tuple(range(32, 449, 32)),
    (1, 2): (32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    (1, 3): (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (2, 1): (32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256),
    (2, 2): _OF_TWO,
    (2, 3): _OF_TWO,
}
"""Rates of bits by version and layer; 0 (any) and 15 (none) have no length to tell."""


def frame_bytes(head: bytes) -> int | None:
    """The length in bytes of the frame that begins with these, its header included; none where no such frame begins."""
    if len(head) < HEADER or head[0] != 0xFF:
        return None
    if head[1] & 0xF6 == 0xF0:  # a layer of 0: ADTS
        return (head[3] & 3) << 11 | head[4] << 3 | head[5] >> 5
    version, layer = head[1] >> 3 & 3, 4 - (head[1] >> 1 & 3)
    bits, rate, padding = head[2] >> 4, head[2] >> 2 & 3, head[2] >> 1 & 1
    if head[1] & 0xE0 != 0xE0 or version == 1 or layer == 4 or bits in (0, 15) or rate == 3:
        return None
    bits_a_second = 1000 * _KBPS[1 if version == 3 else 2, layer][bits - 1]
    samples_a_second = _RATES[rate] // {3: 1, 2: 2, 0: 4}[version]
    if layer == 1:
        return 4 * (12 * bits_a_second // samples_a_second + padding)
    slots = 72 if layer == 3 and version != 3 else 144
    return slots * bits_a_second // samples_a_second + padding
