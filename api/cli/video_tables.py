"""What the command line shows of tracks that fit a clip."""

from collections.abc import Sequence

from api.cli.layout import table_of
from api.cli.tables import clock, shown_of
from api.cli.terminal import Screen
from api.documents.video import ClipOut, FitOut, PlacementOut, VideoAnswerOut
from retrieval.counting import counted


def print_matched(title: str, answer: VideoAnswerOut) -> None:
    """What was seen, then tracks, where each starts and, under a video, its speed and how many cuts meet its beats."""
    console = Screen(soft_wrap=True)
    console.print(f"{title}: {_seen(answer.clip)}")
    # Under a picture any length may play, and nothing in it moves.
    placed = ["from"] if answer.clip.is_picture else ["from – to", "speed", "in time (by chance)"]
    names = ["#", "score", "track", *placed]
    explained = any(result.fit is not None for result in answer.results)
    rows = [
        (
            *(str(result.rank), f"{result.score:.3f}", result.track, *_placed(result.placement, len(placed))),
            *([_reasons(result.fit)] if explained else []),
        )
        for result in answer.results
    ]
    if rows:
        names += ["learned + words + sync; shared words"] if explained else []
        console.print(table_of(names, rows, key=2))
    console.print(shown_of(answer.stats, answer.timing_ms["total"], answer.space))


def _seen(clip: ClipOut) -> str:
    what = "a picture" if clip.is_picture else f"{clip.duration_s:.1f} s, {counted(clip.cuts, 'cut')}"
    what += " (the first of a longer video: --start-s and --end-s take another part)" if clip.is_limited else ""
    return what + (f"; suggests {', '.join(clip.suggests)}" if clip.suggests else "")


def _placed(placement: PlacementOut | None, columns: int) -> Sequence[str]:
    """Where a track starts, and in more columns than one where it ends, its speed, and how well it meets the clip."""
    if placement is None:
        return [""] * columns
    if columns == 1:
        return [clock(placement.start_s)]
    span = f"{clock(placement.start_s)} – {clock(placement.end_s)}"
    return span, f"× {placement.rate:.3f}", f"{placement.score:.2f} ({placement.chance:.2f})"


def _reasons(fit: FitOut | None) -> str:
    if fit is None:
        return ""
    parts = f"{fit.learned:+.2f} {fit.words:+.2f} {fit.sync:+.1f}"
    words = ", ".join(f"{shared.word} → {shared.tag}" for shared in fit.shared_words)
    return f"{parts}; {words}" if words else parts
