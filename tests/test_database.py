"""The schema: up, down, in step with the models, and clear words when there is no database."""

from pathlib import Path

import pytest
from alembic import command
from sqlalchemy import Engine, create_engine, inspect, text
from sqlalchemy.engine import make_url

from retrieval.database import alembic_config, check_schema, migrate, open_engine
from retrieval.errors import DatabaseUnavailableError, SchemaError
from retrieval.models import metadata


def tables_of(engine: Engine) -> set[str]:
    return set(inspect(engine).get_table_names()) - {"alembic_version"}


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


def test_models_and_migrations_agree(engine: Engine) -> None:
    with engine.connect() as connection:
        command.check(alembic_config(connection))  # raises when a migration is missing


def test_an_unmigrated_database_is_refused_by_name(empty_database_url: str) -> None:
    engine = create_engine(make_url(empty_database_url))
    with pytest.raises(SchemaError, match=r"at nothing, this version needs 0001: run `soundalike migrate`"):
        check_schema(engine)
    engine.dispose()


def test_no_database_gives_one_line(tmp_path: Path) -> None:
    with pytest.raises(DatabaseUnavailableError) as raised:
        open_engine("postgresql://me:secret@127.0.0.1:9/none", embedded_dir=tmp_path)
    assert "127.0.0.1" in str(raised.value)
    assert "\n" not in str(raised.value)
    assert "secret" not in str(raised.value)


def test_an_address_that_is_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DatabaseUnavailableError, match="accepted: postgresql://"):
        open_engine("not an address", embedded_dir=tmp_path)
