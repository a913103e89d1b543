"""Clips of video to given music, each a file with sound, and a list that tells what is in them.

    OUT/<source>/<nn>.mp4    MPEG-4 pictures of 256 × 144, 25 a second, and AAC; a source is one track
    OUT/clips.jsonl          a line a clip: file, track, start_s, duration_s, style, seed, cuts_s, sync, …

A clip is made by chance that its source, its number and the seed alone decide.
"""

from __future__ import annotations

import json
import os
import re
from collections import Counter
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

import av
import cv2
import numpy as np

from encoders.errors import MediaError
from encoders.training.corpus import CorpusError
from encoders.training.rendering import chance
from encoders.training.videos.editing import edit, some_habits
from encoders.training.videos.families import FAMILIES, HEIGHT, WIDTH
from encoders.training.videos.filming import MONTAGE, SLIDESHOW, STYLES, film, some_look
from encoders.training.videos.listening import FRAME_RATE, SHORTEST_S, SOUND_RATE, listen
from encoders.training.videos.pictures import read_pictures

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from numpy.typing import NDArray

    from encoders.analysis.music import TracksRhythm
    from encoders.training.videos.editing import Edit
    from encoders.training.videos.listening import Heard
    from encoders.training.videos.pictures import Picture

LIST = "clips.jsonl"
_LONGEST_S = 25.0
_TRIES = 20
_SOUND_BIT_RATE = 80_000
_AAC_FRAME = 1024
_QUALITY = "4"  # quantiser of MPEG-4: 1 is best, 31 worst


@dataclass(frozen=True)
class ClipOptions:
    """What clips are to be like.

    Attributes
    ----------
    clips : how many, shared evenly by the tracks
    seed : of all chance
    styles : of :data:`STYLES`; none are all. A montage has patterns of those named beside it, of all if none is
    """

    clips: int = 100
    seed: int = 0
    styles: tuple[str, ...] = ()


@dataclass(frozen=True)
class Clip:
    """What is in a clip; one line of the list.

    Attributes
    ----------
    file : beside the list
    track : key of the track
    start_s, duration_s : which stretch of it is heard
    cuts_s : where there truly are cuts; of dissolves their middle
    sync : what cuts follow; one of :data:`~encoders.training.videos.editing.SYNCS`
    jitter_s, dissolve_s : how far cuts are from that, and how long they take
    """

    file: str
    track: str
    start_s: float
    duration_s: float
    style: str
    seed: int
    cuts_s: tuple[float, ...]
    sync: str
    jitter_s: float
    dissolve_s: float


@dataclass(frozen=True)
class Made:
    """What became of one clip: it was made now, was there, or its track could not be used for a reason."""

    source: str
    clip: Clip | None
    is_new: bool
    reason: str | None = None


def write_clips(
    tracks: Sequence[tuple[str, Path]],
    pictures: Sequence[Path],
    out: Path,
    tracker: TracksRhythm,
    options: ClipOptions,
) -> Iterator[Made]:
    """Make clips of video to tracks, given as (key, file); what is in the list already is not made again.

    Parameters
    ----------
    pictures : folders, of which slideshows and montages take theirs

    Raises
    ------
    CorpusError
        If there is no track, a style is unknown, a picture is needed and missing or unreadable, or the list is damaged.
    OSError
        If `out` cannot be written.
    """
    if not tracks:
        raise CorpusError("no track to make videos to")
    styles = options.styles or STYLES
    if unknown := sorted(set(styles) - set(STYLES)):
        raise CorpusError(f"unknown style {', '.join(unknown)} (accepted: {', '.join(STYLES)})")
    shown = read_pictures(pictures) if {SLIDESHOW, MONTAGE} & set(styles) else ()
    made = {clip.file: clip for clip in read_clips(out)} if (out / LIST).is_file() else {}
    out.mkdir(parents=True, exist_ok=True)
    for (source, key, path), count in _shared(tracks, options):
        there = {number: made.get(f"{source}/{number:02d}.mp4") for number in range(count)}
        for number, clip in there.items():
            if clip and clip.seed == _seed(source, number, options.seed) and (out / clip.file).is_file():
                yield Made(source, clip, is_new=False)
            else:
                there[number] = None
        missing = [number for number, clip in there.items() if clip is None]
        if not missing:
            continue
        try:
            heard = listen(path, tracker)
        except MediaError as error:
            yield Made(source, None, is_new=False, reason=error.reason)
            continue
        (out / source).mkdir(exist_ok=True)
        for number in missing:
            clip = _make(heard, (source, key, number), shown, styles, options, out)
            with (out / LIST).open("a", encoding="utf-8") as lines:
                lines.write(json.dumps(asdict(clip)) + "\n")
            yield Made(source, clip, is_new=True)


def read_clips(folder: Path) -> list[Clip]:
    """What the list in a folder says; of a clip that was made twice the last line.

    Raises
    ------
    CorpusError
        If there is no list, or it is damaged.
    """
    path = folder / LIST
    clips = {}
    try:
        for line in path.read_text(encoding="utf-8").splitlines():
            said = json.loads(line)
            clip = Clip(**said | {"cuts_s": tuple(said["cuts_s"])})
            clips[clip.file] = clip
    except OSError as error:
        raise CorpusError(f"{path}: {error.strerror}") from error
    except (ValueError, TypeError, KeyError) as error:
        raise CorpusError(f"{path}: line {line!r} tells of no clip: {error}") from error
    return list(clips.values())


def package_of(key: str) -> str:
    """The first folder of a track's key; empty without one."""
    first, *further = PurePosixPath(key).parts
    return first if further else ""


def _shared(tracks: Sequence[tuple[str, Path]], options: ClipOptions) -> Iterator[tuple[tuple[str, str, Path], int]]:
    """How many clips each track gets, as (source, key, path): all as many, but one more of some that chance takes."""
    sources = _sources(tracks)
    order = np.random.default_rng(options.seed).permutation(len(sources))
    least, more = divmod(options.clips, len(sources))
    counts = np.full(len(sources), least)
    counts[order[:more]] += 1
    return ((source, int(count)) for source, count in zip(sources, counts, strict=True) if count)


def _sources(tracks: Iterable[tuple[str, Path]]) -> list[tuple[str, str, Path]]:
    """Tracks as (source, key, path); what would have one name is numbered."""
    named: Counter[str] = Counter()
    sources = []
    for key, path in tracks:
        name = re.sub(r"[^\w.-]+", "_", f"{package_of(key)}-{PurePosixPath(key).stem}").strip("-.") or "track"
        named[name] += 1
        sources.append((name if named[name] == 1 else f"{name}-{named[name]}", key, path))
    return sources


def _seed(source: str, number: int, seed: int) -> int:
    return int(chance(f"{source}/{number}", seed).integers(1 << 53))


def _make(
    heard: Heard, which: tuple[str, str, int], pictures: Sequence[Picture], styles: Sequence[str],
    options: ClipOptions, out: Path,
) -> Clip:  # fmt: skip
    source, key, number = which
    seed = _seed(source, number, options.seed)
    rng = np.random.default_rng(seed)
    start_s, duration_s = _stretch(heard, rng)
    style = _style(styles, rng)
    decided = edit(heard, start_s, duration_s, some_habits(heard, start_s, duration_s, rng), rng)
    families = [name for name in styles if name in FAMILIES] or list(FAMILIES)
    frames = film(decided, style, pictures, some_look(rng), rng, families)
    file = f"{source}/{number:02d}.mp4"
    write_video(frames, heard.sound[round(start_s * SOUND_RATE) :], decided, out / file)
    return Clip(
        file=file,
        track=key,
        start_s=start_s,
        duration_s=decided.duration_s,
        style=style,
        seed=seed,
        cuts_s=tuple(round(float(cut_s), 3) for cut_s in decided.cuts_s),
        sync=decided.habits.sync,
        jitter_s=round(decided.habits.jitter_s, 4),
        dissolve_s=round(decided.habits.dissolve_s, 3),
    )


def _stretch(heard: Heard, rng: np.random.Generator) -> tuple[float, float]:
    """Start and length of a stretch that has no silence, if one is found."""
    longest_s = min(_LONGEST_S, heard.duration_s)
    for _ in range(_TRIES):
        duration_s = float(rng.uniform(SHORTEST_S, longest_s))
        start_s = round(float(rng.uniform(0, heard.duration_s - duration_s)), 3)
        if not heard.is_silent(start_s, start_s + duration_s):
            break
    return start_s, duration_s


def _style(styles: Sequence[str], rng: np.random.Generator) -> str:
    """Slideshows, montages and patterns are about as frequent, where all may be."""
    kinds = [kind for kind in (SLIDESHOW, MONTAGE) if kind in styles]
    patterns = [style for style in styles if style in FAMILIES]
    taken = int(rng.integers(len(kinds) + bool(patterns)))
    return kinds[taken] if taken < len(kinds) else str(rng.choice(patterns))


def write_video(frames: Iterable[NDArray[np.uint8]], sound: NDArray[np.float32], decided: Edit, path: Path) -> None:
    """Write frames, uint8 [144, 256, 3], and what is heard from their first one on; whole or not at all."""
    partial = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with av.open(str(partial), "w", format="mp4") as container:
            pictures = container.add_stream("mpeg4", rate=FRAME_RATE, options={"qmin": _QUALITY, "qmax": _QUALITY})
            pictures.width, pictures.height, pictures.pix_fmt = WIDTH, HEIGHT, "yuv420p"
            pictures.codec_context.thread_count = 1
            voice = container.add_stream("aac", rate=SOUND_RATE, options={"aac_coder": "fast"}, layout="mono")
            voice.bit_rate = _SOUND_BIT_RATE
            for index, rgb in enumerate(frames):
                frame = av.VideoFrame.from_ndarray(
                    np.asarray(cv2.cvtColor(rgb, cv2.COLOR_RGB2YUV_I420), np.uint8), "yuv420p"
                )
                frame.pts = index
                container.mux(pictures.encode(frame))
            container.mux(pictures.encode(None))
            samples = sound[: round(decided.duration_s * SOUND_RATE)]
            for start in range(0, len(samples), _AAC_FRAME):
                part = np.ascontiguousarray(samples[None, start : start + _AAC_FRAME])
                heard = av.AudioFrame.from_ndarray(part, "fltp", "mono")
                heard.sample_rate, heard.pts = SOUND_RATE, start
                container.mux(voice.encode(heard))
            container.mux(voice.encode(None))
        partial.replace(path)
    finally:
        with suppress(OSError):
            partial.unlink(missing_ok=True)
