"""The Flask application: resources in, routes and errors registered, OpenAPI 3.1 out."""

from typing import Any

from apiflask import APIFlask
from flask_swagger_ui import get_swaggerui_blueprint

from api.documents import filters
from api.http import context, problems, requests, wellformed
from api.http.routes import front, music, operations, paths, queries, retargeting, tracks
from api.wiring import Soundalike


def create_app(soundalike: Soundalike) -> APIFlask:
    """Put the HTTP surface before an opened catalogue, which the caller closes."""
    app = APIFlask(__name__, title="Soundalike", version="1", docs_path=None, spec_path="/openapi.json")
    app.config["OPENAPI_VERSION"] = "3.1.0"
    app.config["DESCRIPTION"] = "Music search and recommendation that listens."
    app.config["MAX_CONTENT_LENGTH"] = soundalike.settings.max_upload_bytes
    app.config["MAX_FORM_MEMORY_SIZE"] = soundalike.settings.max_upload_bytes
    context.attach(app, soundalike)
    problems.register(app)
    wellformed.register(app)
    routes = (front, queries, paths, tracks, music, retargeting, operations)
    for blueprint in (module.blueprint for module in routes):
        app.register_blueprint(blueprint)
    app.spec_processor(_described)
    # Swagger UI from our own server: the page works where the network does not reach.
    app.register_blueprint(get_swaggerui_blueprint("/docs", "/openapi.json", config={"app_name": "Soundalike"}))
    return app


def _described(document: Any) -> Any:
    """The OpenAPI document, with what no model says of itself."""
    for describe in (problems.describe, requests.describe, filters.describe):
        document = describe(document)
    return document
