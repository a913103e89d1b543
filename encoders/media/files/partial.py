"""Whether a file is a part of what it was: cut, or set up for a download that has not come to its end.

By what the file says itself, never by a guess: raw frames (ADTS, AC-3, AMR, MP3 without a header that counts, MPEG
streams) say nothing of their number, and what was recorded live need not. Of MPEG audio and ADTS each frame says how
long it is, so that a cut within one is seen, and one between two is not.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from encoders.errors import UnreadableMediaError
from encoders.media.files.content import content_of
from encoders.media.files.declared import declared_end, declared_samples, end_of_media, is_taken_from_header
from encoders.media.files.frames import frame_bytes

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from encoders.media.files.content import Content
    from encoders.media.files.packets import Account

# Decoders leave out what the encoder put before and behind the music: LAME up to 2,257 samples, AAC 2,112 and a frame.
_LEFT_OUT = 4096  # samples
_LEAST_S = 0.15
_MOST_EXCESS = 1024  # bytes: some writers count a header twice
_LEAST_ZEROS, _LEAST_ZERO_SHARE = 1 << 12, 0.02  # of a file whose silence is no zeros
# Music may end in silence, with any length of it. What is cut off by a download ends at its full level.
_LEAST_SILENCE_S, _LEAST_SILENCE_SHARE = 2.0, 0.25
_BEFORE_S, _ABRUPT = 0.02, 0.1
_AS_ZEROS = ("pcm_s", "pcm_f", "adpcm_")
"""Codings whose silence may be zeros; that of others is none."""


def why_partial(
    source: Path | bytes, name: str, account: Account, *, duration_s: float, waveform: NDArray[np.float32]
) -> str | None:
    """Why a source that was decoded is taken for a part, in a clause for users; none where nothing says so.

    Parameters
    ----------
    source, name : as for :func:`encoders.media.decode.decode`
    account : of its packets
    duration_s : that was decoded
    waveform : float32 [samples], at any rate
    """
    with content_of(source, name) as content:
        if account.codec.startswith(_AS_ZEROS):
            silent = _cut_to_silence(waveform, duration_s)
        else:
            silent = _ends_in_zeros(content)
        short = (
            silent or _too_few_bytes(content) or _too_short(content, account, duration_s) or _in_frame(content, account)
        )
    if not short and account.is_broken_off:
        return f"cannot be read on after {_time(duration_s)}"
    return short or (None if account.has_end else "its last page does not mark the end of the stream")


def why_cut(source: Path | bytes, name: str) -> str | None:
    """Why a source that cannot be decoded is taken for a part, as :func:`why_partial` says it."""
    try:
        with content_of(source, name) as content:
            return _ends_in_zeros(content) or _too_few_bytes(content)
    except UnreadableMediaError:
        return None


def _ends_in_zeros(content: Content) -> str | None:
    end = end_of_media(content)
    place = end
    while place and (chunk := content.at(max(0, place - (1 << 12)), min(1 << 12, place))):
        left = len(chunk.rstrip(b"\0"))
        place -= len(chunk) - left
        if left:
            break
    zeros = end - place
    is_much = zeros >= max(_LEAST_ZEROS, _LEAST_ZERO_SHARE * end)
    return f"ends in {_size(zeros)} of zero bytes" if is_much else None


def _cut_to_silence(waveform: NDArray[np.float32], duration_s: float) -> str | None:
    """Whether sound breaks off, and exact zeros follow to the end."""
    sounding = np.flatnonzero(waveform)
    if not sounding.size or not duration_s:
        return None
    end = int(sounding[-1]) + 1
    rate = waveform.size / duration_s
    silence_s = (waveform.size - end) / rate
    if silence_s < max(_LEAST_SILENCE_S, _LEAST_SILENCE_SHARE * duration_s):
        return None
    before, all_of_it = waveform[max(0, end - int(_BEFORE_S * rate)) : end], waveform[:end]
    is_abrupt = float(np.mean(before**2)) > _ABRUPT**2 * float(np.mean(all_of_it**2))
    return f"breaks off, and {_time(silence_s)} of exact zeros follow to its end" if is_abrupt else None


def _too_few_bytes(content: Content) -> str | None:
    declared = declared_end(content)
    if declared is None or declared - content.size <= _MOST_EXCESS:
        return None
    return f"{_size(content.size)} of the {_size(declared)} that the file declares"


def _too_short(content: Content, account: Account, duration_s: float) -> str | None:
    if account.links != 1 or account.lost_links or not account.rate:
        return None
    declared_s = 0.0
    if account.format in ("flac", "wv", "mp3"):
        declared_s = (declared_samples(content) or 0) / account.rate
    elif is_taken_from_header(account.format) or account.is_counted:
        declared_s = account.declared_s
    if declared_s - duration_s <= _LEAST_S + _LEFT_OUT / account.rate:
        return None
    return f"{_time(duration_s)} of the {_time(declared_s)} that the file declares"


def _in_frame(content: Content, account: Account) -> str | None:
    """Whether the last of raw frames is cut, and no header says that the others are all."""
    if account.format not in ("mp3", "aac") or (account.format == "mp3" and declared_samples(content)):
        return None
    whole = frame_bytes(account.last)
    there = len(account.last)
    return f"ends within a frame, of which it has {there} of {whole} bytes" if whole and there < whole else None


def _size(size: int) -> str:
    for unit, name in ((1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")):
        if size >= unit:
            return f"{size / unit:.1f} {name}"
    return f"{size} bytes"


def _time(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds >= 10 else f"{seconds:.1f} s"
