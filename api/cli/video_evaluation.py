"""What `soundalike evaluate video FOLDER` asks with, and what it ranks: all of it in memory, none of it in a catalogue.

FOLDER/<source>/<clip>.mp4    what has one source (a film, a track) is never told apart; a loose file is its own source

The sound of each video, and other music, pass the stages that tracks of a catalogue pass.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from api.matching import SPACE, clip_of
from encoders.errors import MediaError, TooShortError
from encoders.media.kinds import AUDIO_SUFFIXES
from encoders.media.video.footage import VIDEO_SUFFIXES
from encoders.media.video.process import FootageProcess
from indexer.pipeline import ingest
from indexer.scan import find_files
from indexer.stages.registry import Analyses, named_stages, stages_with
from indexer.stages.stage import outdated
from retrieval.catalog.heard.moments import TrackMoments, moments_of
from retrieval.catalog.heard.music import ACCENTS_STAGE, PARTS, RHYTHM_STAGE, STRUCTURE_STAGE
from retrieval.catalog.records import (
    SpaceEmbedding,
    TagScores,
    TrackAccents,
    TrackForm,
    TrackRhythm,
    TrackSegments,
)
from retrieval.errors import IndexMissingError
from retrieval.evaluation.clips import Asked, Heard, VideoOptions, evaluate_clips
from retrieval.evaluation.errors import EvaluationError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence
    from pathlib import Path

    from api.wiring import Soundalike
    from indexer.scan import ScannedFile
    from indexer.stages.stage import Stage
    from retrieval.catalog.files.known import StoredTrack
    from retrieval.catalog.records import TrackAnalysis
    from retrieval.evaluation.results.videos import VideoEvaluation

    OnDone = Callable[[int, int, str], None]

_HARDLY_S = 0.5
"""What a clip may lack of its length: no video ends on the frame."""


@dataclass(frozen=True)
class VideoTask:
    """What `evaluate video` was given; without other music, tracks of the catalogue stand beside that of the videos."""

    folder: Path
    music: Path | None
    options: VideoOptions


@dataclass
class _Collected:
    """What pipelines write their tracks to, in the place of a catalogue."""

    analyses: dict[str, TrackAnalysis] = field(default_factory=dict)

    def stored_tracks(self, keys: Sequence[str]) -> dict[str, StoredTrack]:
        """Nothing is known before."""
        return {}

    def stored_at(self, uris: Sequence[str]) -> dict[str, StoredTrack]:
        return {}

    def stored_as(self, content_hash: str, audio_hash: str | None) -> list[StoredTrack]:
        return []

    def store(self, analysis: TrackAnalysis) -> int:
        self.analyses[analysis.key] = analysis
        return len(self.analyses)


def evaluate_videos(here: Soundalike, task: VideoTask, on_done: OnDone) -> VideoEvaluation:
    """Watch and hear everything, and let each clip ask for its own music.

    Raises
    ------
    EvaluationError
        If there is no video with sound, or no music of two sources.
    MissingWeightsError, CheckpointMismatchError
    """
    left_out: dict[str, str] = {}
    files = find_files(task.folder, VIDEO_SUFFIXES, key_prefix="", on_error=left_out.__setitem__)
    if not files:
        raise EvaluationError(f"{task.folder}: no video in it", " ".join(sorted(VIDEO_SUFFIXES)))
    here.encoder.pictures()  # what is missing is missed before hours of listening
    stages = _stages(here)
    heard = {key: _heard(of, _source_of(key)) for key, of in _listened(here, files, stages, left_out, on_done).items()}
    tracks = list(heard.values())
    places = {track.name: number for number, track in enumerate(tracks)}
    asked: list[Asked] = []
    with FootageProcess() as reader:
        for number, file in enumerate(files, start=1):
            on_done(number, len(files), f"watching {file.key}")
            if file.key not in heard:
                continue
            try:
                sound_s = heard[file.key].moments.duration_s
                asked += _clips(here, reader, file.path, places[file.key], sound_s, task.options.clip_s)
            except MediaError as error:
                left_out[file.key] = error.reason
    if not asked:
        reasons = "; ".join(f"{name}: {reason}" for name, reason in left_out.items())
        raise EvaluationError(f"{task.folder}: no video with sound can be used: {reasons}", "videos with sound")
    if task.music is None:
        beside, warnings = _of_catalogue(here, stages, max(task.options.pools) - 1, task.options.seed)
    else:
        music = find_files(task.music, AUDIO_SUFFIXES, key_prefix="", on_error=left_out.__setitem__)
        if not music:
            raise EvaluationError(f"{task.music}: no audio file in it", " ".join(sorted(AUDIO_SUFFIXES)))
        music = [replace(file, key=f"{task.music.name}/{file.key}") for file in music]
        beside = [_heard(of, None) for of in _listened(here, music, stages, left_out, on_done).values()]
        warnings = []
    return evaluate_clips(
        asked,
        [*tracks, *beside],
        task.options,
        left_out=left_out,
        warnings=warnings,
        on_done=lambda done, total: on_done(done, total, "asking"),
    )


def _stages(here: Soundalike) -> list[Stage]:
    """What hears all that a clip is laid upon, the default ear's tags among it."""
    ear = here.indexing_encoders().every[0]
    encoders = [ear, here.encoder(SPACE)] if ear.spec.name != SPACE else [ear]
    stages = stages_with(encoders, analyses=Analyses(music=here.encoder.music()))
    embeddings = (f"embedding/{encoder.spec.name}" for encoder in encoders)
    return named_stages(stages, {RHYTHM_STAGE, STRUCTURE_STAGE, ACCENTS_STAGE, *embeddings})


def _listened(
    here: Soundalike, files: Sequence[ScannedFile], stages: Sequence[Stage], left_out: dict[str, str], on_done: OnDone
) -> dict[str, TrackAnalysis]:
    collected, settings = _Collected(), here.settings
    outcomes = ingest(files, stages, collected, limits=settings.media_limits, decode_threads=settings.decode_threads)
    for number, outcome in enumerate(outcomes, start=1):
        on_done(number, len(files), f"listening to {outcome.file.key}")
        if outcome.reason is not None:
            # Nothing is asked with half of what is known of the others.
            left_out[outcome.file.key] = outcome.reason
            collected.analyses.pop(outcome.file.key, None)
    return collected.analyses


def _clips(
    here: Soundalike, reader: FootageProcess, path: Path, own: int, sound_s: float, clip_s: float
) -> list[Asked]:
    """Consecutive clips of a video while its sound lasts; one of all of it where it is shorter than a clip."""
    pictures, asked, start_s = here.encoder.pictures(), list[Asked](), 0.0
    while start_s < sound_s:
        try:
            footage = reader.read(path, start_s=start_s, end_s=start_s + clip_s)
        except TooShortError:
            if asked:
                break
            raise
        if footage.is_still or (asked and footage.duration_s < clip_s - _HARDLY_S):
            break
        seen = pictures.look(footage, from_s=start_s)
        asked.append(Asked(clip_of(here, seen), pictures.suggested_by_moods(seen), own, start_s))
        start_s += clip_s
    if not asked:
        raise TooShortError(str(path), "a single picture")
    return asked


def _source_of(key: str) -> str:
    return key.partition("/")[0]


def _heard(analysis: TrackAnalysis, source: str | None) -> Heard:
    """What was heard, as if it came from a catalogue."""
    (rhythm,), (form,), (accents,) = analysis.of(TrackRhythm), analysis.of(TrackForm), analysis.of(TrackAccents)
    embedding = next(row for row in analysis.of(SpaceEmbedding) if row.space == SPACE)
    tags = analysis.of(TagScores)
    moments = TrackMoments(
        analysis.duration_s,
        accents,
        rhythm.beats_s,
        rhythm.beats_s[rhythm.positions == 1],
        np.array([section.start_s for section in form.sections if section.level == PARTS], np.float64),
        rhythm.tempo_bpm,
    )
    segments = TrackSegments(0, embedding.starts_s, embedding.ends_s, embedding.segment_vectors)
    scores = tags[0].scores if tags else {}
    return Heard(analysis.key, source, embedding.track_vector, moments, segments, scores)


def _of_catalogue(here: Soundalike, stages: Collection[Stage], most: int, seed: int) -> tuple[list[Heard], list[str]]:
    """Tracks of the opened catalogue, drawn, that were heard in the very way in which videos are."""
    try:
        ids = here.search.space(SPACE).view().all_track_ids()
    except IndexMissingError:
        return [], ["the catalogue holds no track in the space of music and video: only sounds of videos are ranked"]
    drawn = np.random.default_rng(seed).permutation(ids)[:most].tolist()
    tracks, version = here.catalog.tracks_by_id(drawn), here.encoder(SPACE).version
    known = here.catalog.stored_tracks([track.key for track in tracks.values()])
    same = [
        track.id
        for track in tracks.values()
        if track.key in known and not outdated([*stages], known[track.key].analyses)
    ]
    moments, tags = moments_of(here.engine, same), here.catalog.tags_of(same)
    segments = here.catalog.segments_of(same, SPACE, version)
    beside = [
        Heard(
            *(tracks[one].key, None, here.catalog.track_vector(one, SPACE, version)),
            *(moments[one], segments[one], tags[one]),
        )
        for one in same
        if one in moments and one in segments
    ]
    lacking = len(drawn) - len(beside)
    note = f"{lacking} of {len(drawn)} tracks of the catalogue were not heard by today's networks: left out"
    return beside, [note] if lacking else []
