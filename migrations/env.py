"""Alembic's entry: run the migrations on the connection that `retrieval.catalog.database` hands over."""

from alembic import context

from retrieval.catalog.tables import metadata

connection = context.config.attributes["connection"]
context.configure(connection=connection, target_metadata=metadata, compare_type=True, compare_server_default=True)
with context.begin_transaction():
    context.run_migrations()
