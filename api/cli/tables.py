"""What the command line shows: tables, and the progress of an ingest."""

from __future__ import annotations

import json
import shlex
import sys
import threading
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.text import Text

from api.cli.layout import table_of
from api.cli.terminal import OutputLostError, Screen, cell, printable
from retrieval.catalog.languages import LANGUAGES, UNKNOWN_LANGUAGE, language_name
from retrieval.counting import counted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from rich.table import Table

    from api.documents.answer import StatsOut
    from api.documents.facets import FacetsOut
    from api.documents.voice import CorrectedTrackOut, LanguageOut, LanguageSpanOut, VocalSpanOut
    from indexer.packs.known import Pack
    from retrieval.catalog.ledger import Failure
    from retrieval.catalog.records import Track
    from retrieval.search.humming.answering import HumAnswer
    from retrieval.search.playlists import Playlist
    from retrieval.search.query import Answer, Query, Result, Stats

MOST_NAMED = 5
NOTE_EVERY_S = 10.0  # where no bar can be drawn, a line now and then


@contextmanager
def progress(what: str, *, quiet: bool) -> Iterator[Callable[..., None]]:
    """A progress bar on standard error; call with how many are done, of how many, and a note.

    Where no bar can be drawn, a line says now and then how far it is, also while one thing takes long.
    """
    console = Screen(stderr=True, soft_wrap=True)
    columns = (TextColumn(what), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[note]}", markup=False))
    state, ended = "going on", threading.Event()

    def tell() -> None:
        began = time.monotonic()
        with suppress(OutputLostError):  # who called finds it with the next line
            while not ended.wait(NOTE_EVERY_S):
                console.print(f"{what}: {state}; {clock(time.monotonic() - began)} min until now")

    teller = threading.Thread(target=tell, name="progress", daemon=True)
    if not (quiet or console.is_terminal):
        teller.start()
    with Progress(*columns, TimeRemainingColumn(), console=console, disable=quiet or not console.is_terminal) as bar:
        task = bar.add_task(what, total=None, note="")

        def show(done: int, total: int, note: str = "") -> None:
            nonlocal state
            bar.update(task, completed=done, total=total, note=printable(note, console.encoding))
            state = f"{done}/{total}{note and f', {note}'}"

        try:
            yield show
        finally:
            ended.set()
            if teller.is_alive():
                teller.join()


def print_hummed(title: str, answer: HumAnswer) -> None:
    """Tracks in which a hum was found, as a table."""
    names, rows = ("#", "score", "track", "from – to", "semitones", "tempo"), []
    for rank, (track, found) in enumerate(answer.results, start=1):
        span = " – ".join(map(clock, found.span_s))
        played = f"{found.transposition:+.1f}", f"× {found.tempo_ratio:.2f}"
        rows.append((rank, f"{found.score:.3f}", _named(track), span, *played))
    console = Screen()
    if rows:
        console.print(table_of(names, rows, title=title, key=2, right={*names} - {"track"}))
    total_ms = answer.timing_ms["total"]
    console.print(f"{len(rows)} of {counted(answer.matching, 'track')} with a melody, {total_ms:.1f} ms")


def print_answer(title: str, answer: Answer, asked: Query) -> None:
    """Neighbours as a table, and how the answer to what was asked came about."""
    spans = any(result.span_s is not None for result in answer.results)
    explained = any(result.explain is not None for result in answer.results)
    names = ["#", "score", "track", *(("from – to", "in") if spans else ()), *(["shared tags"] if explained else [])]
    rows = []
    for result in answer.results:
        shared = ", ".join(result.explain.shared_tags if result.explain else ())
        span = _span_cells(result) if spans else []
        named = result.rank, f"{result.score:.3f}", _named(result.track)
        rows.append((*named, *span, *([shared] if explained else [])))
    console = Screen()
    if rows:
        console.print(table_of(names, rows, title=title, key=2, right=("#", "score", "from – to")))
    stats = answer.stats
    console.print(shown_of(stats, answer.timing_ms["total"], answer.space))
    scores = [result.score for result in answer.results]
    if scores != sorted(scores, reverse=True):
        console.print(f"not by score alone: {_other_order(asked)}", highlight=False)
    if stats.unknown:
        console.print(_unknown(stats.unknown))
    if stats.dropped.get("duplicate"):
        console.print("duplicate: another version of a recording (--no-fold-duplicates shows them)", highlight=False)


def _other_order(asked: Query) -> str:
    """By what else than its score a query has a result stand higher or lower."""
    diversity, context = asked.diversity, asked.context
    rules = (
        (diversity is not None and diversity.csls, "of each so many candidates hubs stand last (csls)"),
        (diversity is not None and diversity.mmr, "what is unlike those before it stands higher (mmr)"),
        (context is not None and context.artist_gap, "tracks of an artist stand apart (artist_gap)"),
        (context is not None and context.album_gap, "tracks of an album stand apart (album_gap)"),
    )
    return "; ".join(what for is_asked, what in rules if is_asked)


def shown_of(stats: Stats | StatsOut, total_ms: float, space: str) -> str:
    """How many of how many tracks, what kept out others, and how the search went."""
    dropped = "".join(f", {count} dropped by {reason}" for reason, count in stats.dropped.items())
    why = f" ({stats.reason})" if stats.reason else ""
    of_how_many = f"{stats.returned} of {counted(stats.matching, 'track')}{dropped}"
    return f"{of_how_many}, {stats.path} search, {total_ms:.1f} ms, space {space}{why}"


def _unknown(keys: Sequence[str]) -> Text:
    """What to say of keys of `exclude` and `previous` that no track has."""
    more = f", and {len(keys) - MOST_NAMED} more" if len(keys) > MOST_NAMED else ""
    return cell(f"keeps nothing out, as no track has this key: {', '.join(keys[:MOST_NAMED])}{more}")


def print_playlist(way: Playlist, outside: tuple[str | None, str | None] = (None, None)) -> None:
    """A playlist as a table, with the cosine of every step; `outside` are the files at its ends that are no tracks."""
    steps = ["", *(f"{cosine:.3f}" for cosine in way.cosines)]
    first, last = ([] if name is None else [cell(name)] for name in outside)
    stops = [*first, *map(_named, way.tracks), *last]
    names = ("#", "cosine to the one before", "track")
    rows = [(number, step, stop) for number, (stop, step) in enumerate(zip(stops, steps, strict=True), start=1)]
    console = Screen()
    console.print(table_of(names, rows, key=2, right=names[:2]))
    if way.reason:
        console.print(way.reason)


def print_tracks(tracks: Sequence[Track], *, none: str) -> None:
    """The catalogue as a table; what to say where it has no rows."""
    rows = [(track.key, track.title or "", track.artist or "", clock(track.duration_s)) for track in tracks]
    if rows:
        Screen().print(table_of(("track", "title", "artist", "length"), rows, key=0))
    else:
        Screen(soft_wrap=True).print(none)


def print_language(heard: LanguageOut) -> None:
    """Who sings in a track, when, and in which language."""
    console = Screen(soft_wrap=True)
    corrected, said = heard.corrected, " (corrected)"
    by_ratio = said if corrected and corrected.vocal_ratio is not None else sure(heard.confidence.vocals)
    by_language = said if corrected and corrected.languages is not None else sure(heard.confidence.languages)
    console.print(f"voice: {_percent(heard.vocal_ratio)} of the track, speech {_percent(heard.speech_ratio)}{by_ratio}")
    shares = ", ".join(f"{_language(share.language)} {_percent(share.ratio)}" for share in heard.languages)
    console.print(f"languages: {shares or 'none'}{by_language}")
    rows = [_span_row(span, span.kind) for span in heard.spans.vocals]
    rows += [_span_row(span, language_name(span.language)) for span in heard.spans.languages]
    if rows:
        console.print(table_of(("from", "to", "what", "confidence"), rows))


def print_corrections(track: CorrectedTrackOut) -> None:
    """What a curator said of a track."""
    rows = [
        (field, _shown(one.value), _shown(one.instead_of), one.at.partition(".")[0])
        for field, one in track.corrected.items()
    ]
    if rows:
        Screen().print(table_of(("field", "corrected", "instead of", "at"), rows, title=track.track))
    else:
        Screen(soft_wrap=True).print(f"{track.track}: no corrections")


def print_facets(found: FacetsOut) -> None:
    """How many tracks have what."""
    console, voice = Screen(), found.vocals
    console.print(
        f"{counted(found.matching, 'track')}: {voice.instrumental} instrumental, {voice.partly} partly vocal, "
        f"{voice.mostly} mostly vocal, {voice.unknown} not listened to",
        highlight=False,
    )
    if found.languages:
        rows = [
            (
                "a language not known" if one.language == UNKNOWN_LANGUAGE else _language(one.language),
                one.some,
                one.mostly,
            )
            for one in found.languages
        ]
        console.print(table_of(("the voice is in", "tracks", "of these mostly"), rows))
    if found.tempo.bands:
        bands = [(f"{band.gte:g} – {band.lt:g}" if band.lt else f"{band.gte:g} –") for band in found.tempo.bands]
        counts = [band.tracks for band in found.tempo.bands]
        bands_of = list(zip(bands, counts, strict=True))
        console.print(table_of(("beats a minute", "tracks"), [*bands_of, *_not_known(found.tempo.unknown)]))
    if found.meters:
        meters = [(one.meter, one.tracks) for one in found.meters]
        console.print(table_of(("beats a bar", "tracks"), [*meters, *_not_known(found.meters_unknown)]))
    if found.keys:
        console.print(table_of(("key", "tracks"), [*found.keys.items(), *_not_known(found.keys_unknown)]))
    if found.tags:
        console.print(table_of(("tag", "tracks"), list(found.tags.items())))


def print_next_steps(home: Path, seed: str) -> None:
    """How to go on after the demo."""
    console = Screen(soft_wrap=True)
    console.print("\nGo on with:")
    for command in (
        f"export SOUNDALIKE_HOME={shlex.quote(str(home))} PATH={shlex.quote(str(Path(sys.executable).parent))}:$PATH",
        "soundalike tracks",
        f"soundalike similar {shlex.quote(seed)}",
        "soundalike similar path/to/any/song.mp3",
        "soundalike index ~/Music",
        "soundalike serve    # then http://127.0.0.1:8000/docs",
    ):
        console.print(f"  {command}")


def print_status(state: Mapping[str, Any], failures: Sequence[Failure] | None) -> None:
    """The catalogue's state."""
    console = Screen(soft_wrap=True)
    for name in ("home", "database", "tracks"):
        console.print(f"{name}: {state[name]}")
    if state["missing"]:
        console.print(f"missing: {state['missing']} (soundalike tracks --missing lists them)")
    several = len(state["defaults"]) > 1
    for default in () if several else state["defaults"]:
        console.print(f"default: {default['space']}, which answers where no space is named")
    for default in state["defaults"] if several else ():
        answers = ", and answers where no space is named" if default["answers"] else ""
        console.print(f"default {default['space']}: holds {default['tracks']} tracks{answers}")
    if state["spaces"]:
        columns = ("space", "searchable", "dim", "kind", "recall_at_10", "tracks_by_version")
        by_version = [space["tracks_by_version"].items() for space in state["spaces"]]
        versions = [", ".join(f"{version}: {n}" for version, n in counts) for counts in by_version]
        rows = [[*map(space.get, columns[:-1]), held] for space, held in zip(state["spaces"], versions, strict=True)]
        console.print(table_of(columns, rows, title="spaces", key=0))
    if failures is None:
        console.print(f"failures: {state['failures']} (soundalike status --failures lists them)")
    elif failures:
        console.print(failures_table(failures))
    else:
        console.print("no failures")


def print_packs(packs: Sequence[Pack]) -> None:
    """Packs of free music."""
    rows = [(pack.name, pack.description, pack.licence, pack.track_count, pack.download_mb) for pack in packs]
    Screen().print(table_of(("pack", "what", "licence", "tracks", "MB"), rows, key=0))


def print_weights(rows: Sequence[Mapping[str, Any]]) -> None:
    """Encoders and their weights."""
    cells = []
    for row in rows:
        state = "here" if row["here"] else "to fetch" if row["fetch"] else "to import"
        space = (row["dim"], f"{row['window_s']} s", row["tags"]) if row["dim"] else ("–", "–", "–")
        cells.append((row["name"], state, *space, row["license"]))
    console = Screen(soft_wrap=True)
    console.print(table_of(("name", "weights", "dim", "window", "tags", "licence"), cells, key=0))
    console.print("soundalike weights fetch NAME; soundalike weights import NAME CHECKPOINT")


def _span_cells(result: Result) -> list[str]:
    """Where a result is nearest, and what that is of the track."""
    nearest = "" if result.span_s is None else " – ".join(map(clock, result.span_s))
    return [nearest, result.section.label if result.section else ""]


def _span_row(span: VocalSpanOut | LanguageSpanOut, what: str) -> tuple[str, str, str, str]:
    return clock(span.start_s), clock(span.end_s), what, f"{span.confidence:.2f}"


def _shown(value: Any) -> str:
    return "" if value is None else value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _language(code: str) -> str:
    return f"{LANGUAGES[code]} ({code})" if code in LANGUAGES else code


def _not_known(tracks: int) -> list[tuple[str, int]]:
    """The last row of a table of counts, where there is something to be counted in it."""
    return [("not known", tracks)] if tracks else []


def _percent(ratio: float | None) -> str:
    return "not known" if ratio is None else f"{100 * ratio:.0f} %"


def sure(confidence: float | None) -> str:
    """A confidence behind what it is of."""
    return "" if confidence is None else f" (confidence {confidence:.2f})"


def clock(seconds: float) -> str:
    """Minutes and seconds."""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}:{rest:02}"


def clock_ms(seconds: float) -> str:
    """Minutes and seconds to the millisecond."""
    minutes, rest = divmod(round(1000 * seconds), 60_000)
    return f"{minutes}:{rest / 1000:06.3f}"


def _named(track: Track) -> Text:
    """The key, and under it title and artist where they are known."""
    known = " – ".join(part for part in (track.title, track.artist) if part)
    return Text("\n").join([cell(track.key), *([cell(known, "dim")] if known else [])])


def failures_table(failures: Sequence[Failure]) -> Table:
    """Files that failed, where and why."""
    rows = [(failure.uri, failure.stage, failure.reason) for failure in failures]
    return table_of(("file", "stage", "reason"), rows, title="failures", key=0)
