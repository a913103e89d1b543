"""The schema: up, down, in step with the models, and clear words when there is no database."""

import signal
import subprocess
import sys
import tempfile
from argparse import Namespace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from alembic import command
from alembic.script import ScriptDirectory
from sqlalchemy import Engine, create_engine, event, inspect, text
from sqlalchemy.engine import make_url

from indexer.stages.fingerprint import FingerprintStage
from retrieval.catalog.database import (
    MIGRATIONS,
    _why,
    alembic_config,
    check_schema,
    connected,
    migrate,
    newest_revision,
)
from retrieval.catalog.reading import Catalog
from retrieval.catalog.tables import metadata
from retrieval.errors import DatabaseUnavailableError, SchemaError

TRACK = """INSERT INTO tracks (key, duration_s, uri, content_hash, size_bytes, modified_ns, revision)
    VALUES (:key, 1, :key, '', 1, 1, :revision)"""
EMBEDDING = """INSERT INTO embeddings (track_id, space, start_s, end_s, vector, encoder_version)
    VALUES (:id, :space, 0, 1, :vector, :version)"""


def tables_of(engine: Engine) -> set[str]:
    return set(inspect(engine).get_table_names()) - {"alembic_version"}


def test_the_newest_revision_is_what_alembic_takes_for_it() -> None:
    assert newest_revision() == ScriptDirectory.from_config(alembic_config()).get_current_head()


def test_upgrade_then_downgrade_leaves_nothing(empty_database_url: str) -> None:
    engine = create_engine(make_url(empty_database_url))
    migrate(engine)
    assert tables_of(engine) == set(metadata.tables)
    with engine.begin() as connection:
        command.downgrade(alembic_config(connection), "base")
    assert tables_of(engine) == set()
    with engine.connect() as connection:
        assert connection.execute(text("SELECT count(*) FROM pg_sequences")).scalar() == 0
    migrate(engine)
    check_schema(engine)
    engine.dispose()


def test_several_programs_make_the_schema_once(empty_database_url: str) -> None:
    made = """import sys; from sqlalchemy import create_engine; from sqlalchemy.engine import make_url
from retrieval.catalog.database import check_schema
import alembic.command, retrieval.catalog.tables
engine = create_engine(make_url(sys.argv[1])); print(flush=True); input(); check_schema(engine, upgrade=True)"""
    command_line = [sys.executable, "-c", made, empty_database_url]
    streams = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
    programs = [subprocess.Popen(command_line, text=True, **streams) for _ in range(3)]  # type: ignore[call-overload]
    for program in programs:
        program.stdout.readline()  # all that it loads is loaded
    for program in programs:
        program.stdin.write("\n")
        program.stdin.flush()
    errors = [program.communicate()[1] for program in programs]
    assert [program.returncode for program in programs] == [0, 0, 0], errors
    engine = create_engine(make_url(empty_database_url))
    assert tables_of(engine) == set(metadata.tables)
    engine.dispose()


@pytest.mark.parametrize(
    ("own", "renamed"),
    [
        ([], True),
        ([(2, "clmr", "clmr-own", 32)], True),  # of another encoder that its user calls so
        ([(2, "timbre", "timbre-own", 32)], False),
    ],
)
def test_what_was_clmr_becomes_timbre_and_what_is_ones_own_stays(
    own: list[tuple[int, str, str, int]], renamed: bool, empty_database_url: str
) -> None:
    engine = create_engine(make_url(empty_database_url))
    migrate(engine, "0003")
    kept = [(1, "clmr-samplecnn", "clmr-samplecnn-abc", 512), *own]
    with engine.begin() as connection:
        for number in (1, 2):
            connection.execute(text(TRACK), {"key": f"{number}.wav", "revision": number})
        for track_id, space, version, dim in [(1, "clmr", "clmr-abc", 256), *kept]:
            values = {"id": track_id, "space": space, "version": version, "vector": bytes(2 * dim)}
            connection.execute(text(EMBEDDING), values)

    def embedded() -> list[tuple[int, str, str, int]]:
        rows = "SELECT track_id, space, encoder_version, octet_length(vector) / 2 FROM embeddings"
        with engine.connect() as connection:
            return sorted(tuple(row) for row in connection.execute(text(rows)))  # type: ignore[type-var]

    before = embedded()
    migrate(engine, "0004")
    assert embedded() == (sorted([*kept, (1, "timbre", "timbre-abc", 256)]) if renamed else before)
    if not own:
        with engine.begin() as connection:
            command.downgrade(alembic_config(connection), "0003")
        assert embedded() == before
    engine.dispose()


BEFORE_ANALYSES = """
    INSERT INTO tracks (key, duration_s, uri, content_hash, size_bytes, modified_ns, revision, indexed_at)
        SELECT key, 3, '/' || key, key, 1, 1, revision, '2024-02-03T04:05:06Z'
        FROM unnest(ARRAY['both', 'one', 'neither']) WITH ORDINALITY AS new (key, revision);
    INSERT INTO embeddings (track_id, space, segment_no, start_s, end_s, vector, encoder_version)
        SELECT id, space, segment_no, 0, 1, '', space || '-1'
        FROM tracks, unnest(ARRAY['s', 't']) AS space, unnest(ARRAY[NULL, 0, 1]) AS segment_no
        WHERE key = 'both' OR key = 'one' AND space = 't';
    INSERT INTO fingerprints (track_id, words) SELECT id, '' FROM tracks WHERE key = 'both';
"""


def test_what_was_analysed_before_is_known(empty_database_url: str) -> None:
    engine = create_engine(make_url(empty_database_url))
    migrate(engine, "0003")
    with engine.begin() as connection:
        connection.execute(text(BEFORE_ANALYSES))
    migrate(engine)
    keys = ["both", "one", "neither"]
    assert {key: known.analyses for key, known in Catalog(engine).stored_tracks(keys).items()} == {
        "both": {"embedding/s": "s-1", "embedding/t": "t-1", "fingerprint": FingerprintStage.version},
        "one": {"embedding/t": "t-1"},
        "neither": {},
    }
    with engine.connect() as connection:
        statement = text("SELECT DISTINCT analysed_at FROM analyses")
        assert connection.execute(statement).scalars().all() == [datetime(2024, 2, 3, 4, 5, 6, tzinfo=UTC)]
    engine.dispose()


def test_a_key_is_found_by_its_unique_index_and_its_like_by_trigrams(engine: Engine) -> None:
    like = "SELECT key FROM tracks WHERE deleted_at IS NULL ORDER BY right(key, 500) <-> 'a', key LIMIT 3"
    equal = "SELECT id FROM tracks WHERE key = 'a' AND deleted_at IS NULL"
    with engine.connect() as connection:
        connection.execute(text("SET LOCAL enable_seqscan = off"))
        for statement, index in ((equal, "ex_tracks_key"), (like, "ix_tracks_key_trgm")):
            plan = "\n".join(row[0] for row in connection.execute(text(f"EXPLAIN {statement}")))
            assert index in plan


def test_models_and_migrations_agree(engine: Engine) -> None:
    with engine.connect() as connection:
        command.check(alembic_config(connection))  # raises when a migration is missing


def test_an_unmigrated_database_is_refused_by_name(empty_database_url: str) -> None:
    engine = create_engine(make_url(empty_database_url))
    newest = max(path.name[:4] for path in MIGRATIONS.glob("versions/0*.py"))
    with pytest.raises(SchemaError, match=rf"at nothing, this version needs {newest}: run `soundalike migrate`"):
        check_schema(engine)
    engine.dispose()


def test_the_revision_is_asked_for_once_and_a_newer_one_is_refused(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    check_schema(engine)  # the first connection asks what server it is
    asked: list[str] = []
    event.listen(engine, "before_cursor_execute", lambda *given: asked.append(given[2]))
    check_schema(engine, upgrade=True)
    assert asked == ["SELECT version_num FROM alembic_version"]
    monkeypatch.setattr("retrieval.catalog.database.newest_revision", lambda: "0001")
    with pytest.raises(SchemaError, match="which a newer version made: this one knows 0001"):
        check_schema(engine, upgrade=True)


def test_why_the_embedded_server_did_not_start_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    error = RuntimeError("Command 'pg_ctl' failed\nof many lines")
    assert _why(error, tmp_path / "new" / "postgres") == "Command 'pg_ctl' failed"
    log = tmp_path / "log"
    log.write_text("LOG:  starting\n2026 FATAL:  first\n2026 FATAL:  could not bind\nHINT:  none\n")
    assert _why(error, tmp_path) == f"could not bind (its log: {log})"
    monkeypatch.setattr("shutil.disk_usage", lambda path: Namespace(free=5 << 20))
    assert _why(error, tmp_path) == f"too little space is left on the disk of {tmp_path}, 5 MiB"
    (tmp_path / "PG_VERSION").touch()
    assert _why(error, tmp_path) == f"could not bind (its log: {log})"


def test_no_database_gives_one_line(tmp_path: Path) -> None:
    refused = connected("postgresql://me:secret@127.0.0.1:9/none", embedded_dir=tmp_path)
    with pytest.raises(DatabaseUnavailableError) as raised, refused:
        pass
    assert "127.0.0.1" in str(raised.value)
    assert "\n" not in str(raised.value)
    assert "secret" not in str(raised.value)


def test_an_address_that_is_none_is_refused(tmp_path: Path) -> None:
    refused = connected("not an address", embedded_dir=tmp_path)
    with pytest.raises(DatabaseUnavailableError, match="accepted: postgresql://"), refused:
        pass


@pytest.mark.parametrize(
    "scheme", ["mysql", "mysql+pymysql", "sqlite", "postgresql+psycopg2", "postgresqlx", "cockroachdb"]
)
def test_another_kind_of_database_is_refused(scheme: str, tmp_path: Path) -> None:
    refused = connected(f"{scheme}://me:secret@127.0.0.1:9/none", embedded_dir=tmp_path)
    with pytest.raises(DatabaseUnavailableError, match=r"accepted: postgresql://user") as raised, refused:
        pass
    assert f"{scheme}://" in str(raised.value)
    assert "secret" not in str(raised.value)


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg"])
def test_every_name_of_postgresql_is_accepted(scheme: str, database_url: str, tmp_path: Path) -> None:
    url = make_url(database_url).set(drivername=scheme).render_as_string(hide_password=False)
    with connected(url, embedded_dir=tmp_path) as engine:
        check_schema(engine)


def test_the_embedded_server_stops_with_its_last_user_and_keeps_its_data() -> None:
    with tempfile.TemporaryDirectory(prefix="soundalike-") as folder:
        data_dir = Path(folder) / "postgres"
        with connected(None, embedded_dir=data_dir) as engine:
            migrate(engine)
            assert (data_dir / "postmaster.pid").exists()
        assert not (data_dir / "postmaster.pid").exists()
        with connected(None, embedded_dir=data_dir) as engine:
            check_schema(engine)


def test_a_killed_client_does_not_keep_the_embedded_server() -> None:
    """A client that is killed in the middle leaves a running server, which the next client takes over and stops."""
    with tempfile.TemporaryDirectory(prefix="soundalike-") as folder:
        data_dir = Path(folder) / "postgres"
        killed = (
            "import os, signal, sys; from pathlib import Path; from retrieval.catalog.database import connected\n"
            "with connected(None, embedded_dir=Path(sys.argv[1])): os.kill(os.getpid(), signal.SIGKILL)"
        )
        assert subprocess.run([sys.executable, "-c", killed, data_dir], check=False).returncode == -signal.SIGKILL
        assert (data_dir / "postmaster.pid").exists()
        with connected(None, embedded_dir=data_dir) as engine:
            migrate(engine)
        assert not (data_dir / "postmaster.pid").exists()


def test_an_embedded_server_that_cannot_start_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    refused = connected(None, embedded_dir=tmp_path / "file" / "postgres")
    with pytest.raises(DatabaseUnavailableError, match="no folder for the embedded PostgreSQL"), refused:
        pass


def test_one_version_of_a_track_stays_where_there_is_room_for_one(empty_database_url: str) -> None:
    engine = create_engine(make_url(empty_database_url))
    migrate(engine)
    with engine.begin() as connection:
        for number in (1, 2):
            connection.execute(text(TRACK), {"key": f"{number}.wav", "revision": number})
        for track_id, version in ((1, "s-old"), (1, "s-new"), (2, "s-old")):
            values = {"id": track_id, "space": "s", "version": version, "vector": b""}
            connection.execute(text(EMBEDDING), values)
        connection.execute(text("INSERT INTO analyses (track_id, stage, version) VALUES (1, 'embedding/s', 's-new')"))
        command.downgrade(alembic_config(connection), "0005")
        held = connection.execute(text("SELECT track_id, encoder_version FROM embeddings ORDER BY track_id"))
        assert [tuple(row) for row in held] == [(1, "s-new"), (2, "s-old")]
    migrate(engine)
    engine.dispose()
