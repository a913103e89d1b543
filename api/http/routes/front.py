"""`/`: where somebody looks first who opens the address."""

import html
import json
import shlex

from apiflask import APIBlueprint
from flask import request
from markupsafe import Markup
from sqlalchemy.exc import OperationalError

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
pre {{ overflow-x: auto; padding: 1rem; background: #8882; }}
dt {{ float: left; clear: left; min-width: 9rem; }} dd {{ margin-left: 10rem; }}
@media (prefers-color-scheme: dark) {{ body {{ background: #111; color: #eee; }} a {{ color: #9cf; }} }}
</style>
<h1>Soundalike</h1>
<p>Music search that listens. {state}</p>
<p>{what}</p>
<pre>{example}</pre>
<dl>{links}</dl>
</html>
""")


@blueprint.get("/")
def front() -> str:
    """A short page with links, and an example to be copied."""
    links = Markup("\n").join(
        Markup('<dt><a href="{0}">{0}</a></dt><dd>{1}</dd>').format(address, what) for address, what in LINKS
    )
    what, example = _example(request.host_url.rstrip("/"))
    # Within an element quotes stand for themselves, so that the source can be copied from as well.
    shown = Markup(html.escape(example, quote=False))
    return _PAGE.format(state=_state(), what=what, example=shown, links=links)


def _example(address: str) -> tuple[str, str]:
    """What to type in a shell, and what for: a search by a track that is here, or how the first one comes in."""
    try:
        tracks = soundalike().catalog.list_tracks(after_id=0, limit=1)
    except (RetrievalError, OperationalError):
        tracks = []
    if not tracks:
        return "Nothing is in it yet. A first track:", f"curl -X PUT -F file=@song.mp3 {address}/v1/tracks/song"
    body = json.dumps({"query": {"track": tracks[0].key}, "limit": 3}, ensure_ascii=False)
    said = f"curl {address}/v1/query -H 'Content-Type: application/json' -d {shlex.quote(body)}"
    return "What sounds like one of its tracks:", said


def _state() -> str:
    try:
        index = soundalike().search.space()
        return f"{counted(index.view().count, 'track')} can be found, in the space {index.space!r}."
    except RetrievalError as error:
        return f"Not ready: {error}."
