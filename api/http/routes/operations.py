"""Running it: health, readiness, limits, jobs."""

from typing import Any

from apiflask import APIBlueprint
from flask import Response

from api.documents.search import MAX_DIM, MAX_EXCLUDE, MAX_KEY_LENGTH, MAX_PREVIOUS
from api.documents.spaces import SpacesOut, spaces_out
from api.http.answers import JobOut, job_out
from api.http.context import ENCODING_SLOTS, soundalike
from api.http.problems import possible, problem, response_of
from api.http.requests import MAX_SEARCHES
from encoders.editing.planning import LONGEST_S, SHORTEST_S
from encoders.errors import EncoderError
from retrieval.errors import RetrievalError
from retrieval.filters.language import MAX_CONDITIONS, MAX_DEPTH
from retrieval.search.query import MAX_CANDIDATES, MAX_EXAMPLES, MAX_GAP, MAX_LIMIT, MAX_PLAYLIST, MAX_STEPS
from retrieval.search.recommend import MAX_WEIGHT, MIN_WEIGHT

blueprint = APIBlueprint("operations", __name__, tag="Operations")


@blueprint.get("/healthz")
def health() -> dict[str, str]:
    """The process answers."""
    return {"status": "ok"}


@blueprint.get("/readyz")
@blueprint.doc(responses=possible(503) | {200: "Ready"})
def ready() -> dict[str, Any] | Response:
    """Database and index can answer queries; if not, why."""
    try:
        index = soundalike().search.space()
        view = index.view()
    except (RetrievalError, EncoderError) as error:
        return response_of(problem(503, "not-ready", "Not ready", str(error)))
    return {
        "status": "ready",
        "space": index.space,
        "index_version": view.version,
        "tracks": view.count,
    }


@blueprint.get("/v1/spaces")
@blueprint.output(SpacesOut)
@blueprint.doc(responses=possible(503))
def spaces() -> SpacesOut:
    """What tracks are searched in: every space, which is the default, and how many tracks each holds."""
    return spaces_out(soundalike())


@blueprint.get("/v1/limits")
def limits() -> dict[str, float]:
    """What is enforced on requests."""
    media = soundalike().settings.media_limits
    return {
        "max_limit": MAX_LIMIT,
        "max_searches": MAX_SEARCHES,
        "max_examples": MAX_EXAMPLES,
        "max_playlist": MAX_PLAYLIST,
        "max_steps": MAX_STEPS,
        "min_weight": MIN_WEIGHT,
        "max_weight": MAX_WEIGHT,
        "max_exclude": MAX_EXCLUDE,
        "max_previous": MAX_PREVIOUS,
        "max_gap": MAX_GAP,
        "max_candidates": MAX_CANDIDATES,
        "max_vector_values": MAX_DIM,
        "max_key_characters": MAX_KEY_LENGTH,
        "max_filter_conditions": MAX_CONDITIONS,
        "max_filter_depth": MAX_DEPTH,
        "max_upload_bytes": soundalike().settings.max_upload_bytes,
        "min_retarget_s": SHORTEST_S,
        "max_retarget_s": LONGEST_S,
        "min_audio_s": media.min_duration_s,
        "max_audio_s": media.max_duration_s,
        "clips_encoded_at_once": ENCODING_SLOTS,
    }


@blueprint.get("/v1/jobs/<int:job_id>")
@blueprint.output(JobOut)
@blueprint.doc(responses=possible(404, 503))
def get_job(job_id: int) -> JobOut:
    """One ingest, with its ledger of failures."""
    ledger = soundalike().ledger
    return job_out(ledger.job(job_id), ledger.failures(job_id=job_id))
