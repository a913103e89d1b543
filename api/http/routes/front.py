"""`/`: where somebody looks first who opens the address."""

from apiflask import APIBlueprint
from markupsafe import Markup

from api.http.context import soundalike
from retrieval.counting import counted
from retrieval.errors import RetrievalError

blueprint = APIBlueprint("front", __name__, enable_openapi=False)

LINKS = (
    ("/docs", "every endpoint, to be tried"),
    ("/openapi.json", "the same for programs"),
    ("/v1/tracks", "what is in it"),
    ("/v1/facets", "how much of what"),
    ("/v1/spaces", "what it is searched in"),
    ("/v1/limits", "what is enforced on requests"),
    ("/healthz", "whether the process answers"),
    ("/readyz", "whether database and index do"),
)
_PAGE = Markup("""<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Soundalike</title>
<style>
body {{ font: 1rem/1.5 system-ui, sans-serif; max-width: 40rem; margin: 3rem auto; padding: 0 1rem; }}
dt {{ float: left; clear: left; min-width: 9rem; }} dd {{ margin-left: 10rem; }}
@media (prefers-color-scheme: dark) {{ body {{ background: #111; color: #eee; }} a {{ color: #9cf; }} }}
</style>
<h1>Soundalike</h1>
<p>Music search that listens. {state}</p>
<dl>{links}</dl>
</html>
""")


@blueprint.get("/")
def front() -> str:
    """A short page with links."""
    links = Markup("\n").join(
        Markup('<dt><a href="{0}">{0}</a></dt><dd>{1}</dd>').format(address, what) for address, what in LINKS
    )
    return _PAGE.format(state=_state(), links=links)


def _state() -> str:
    try:
        index = soundalike().search.space()
        return f"{counted(index.view().count, 'track')} can be found, in the space {index.space!r}."
    except RetrievalError as error:
        return f"Not ready: {error}."
