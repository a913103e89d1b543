"""`/v1/path`: a playlist from one track to another."""

from apiflask import APIBlueprint

from api.documents.paths import PathIn, PathOut, path_out
from api.http.context import soundalike
from api.http.problems import possible
from retrieval.search.playlists import playlist

blueprint = APIBlueprint("paths", __name__, url_prefix="/v1", tag="Query")


@blueprint.post("/path")
@blueprint.input(PathIn)
@blueprint.output(PathOut)
@blueprint.doc(responses=possible(400, 404, 409, 413, 415, 422, 503))
def path(json_data: PathIn) -> PathOut:
    """Tracks that lead from one track to another, each as near to the one before as can be."""
    here = soundalike()
    with json_data.naming_fields(here.catalog):
        first, last = json_data.start.as_seed(), json_data.end.as_seed()
        return path_out(playlist(here.search, first, last, json_data.steps, space=json_data.space))
