"""`/v1/tracks/{id}/…`: rhythm, form and melody."""

from apiflask import APIBlueprint

from api.documents.music import (
    HighlightsOut,
    LoopsOut,
    MelodyOut,
    RhythmOut,
    StructureOut,
    highlights_out,
    loops_out,
    melody_out,
    rhythm_out,
    structure_out,
)
from api.http.context import soundalike
from api.http.problems import possible

blueprint = APIBlueprint("music", __name__, url_prefix="/v1", tag="Music")


@blueprint.get("/tracks/<path:key>/rhythm")
@blueprint.output(RhythmOut)
@blueprint.doc(responses=possible(404, 503))
def get_rhythm(key: str) -> RhythmOut:
    """Tempo, metre, beats and key."""
    catalog = soundalike().catalog
    return rhythm_out(catalog, catalog.track(key))


@blueprint.get("/tracks/<path:key>/structure")
@blueprint.output(StructureOut)
@blueprint.doc(responses=possible(404, 503))
def get_structure(key: str) -> StructureOut:
    """Parts and phrases, with the beats that they begin on, in the shape of All-In-One's JSON."""
    catalog = soundalike().catalog
    return structure_out(catalog, catalog.track(key))


@blueprint.get("/tracks/<path:key>/highlights")
@blueprint.output(HighlightsOut)
@blueprint.doc(responses=possible(404, 503))
def get_highlights(key: str) -> HighlightsOut:
    """Stretches that represent the track."""
    catalog = soundalike().catalog
    return highlights_out(catalog, catalog.track(key))


@blueprint.get("/tracks/<path:key>/loops")
@blueprint.output(LoopsOut)
@blueprint.doc(responses=possible(404, 503))
def get_loops(key: str) -> LoopsOut:
    """Stretches that can be played over and over."""
    catalog = soundalike().catalog
    return loops_out(catalog, catalog.track(key))


@blueprint.get("/tracks/<path:key>/melody")
@blueprint.output(MelodyOut)
@blueprint.doc(responses=possible(404, 503))
def get_melody(key: str) -> MelodyOut:
    """The pitch of the leading voice or instrument, step by step."""
    catalog = soundalike().catalog
    return melody_out(catalog, catalog.track(key))
