"""Runs the migrations on the connection that `agency_node.store.database` holds."""

from alembic import context

context.configure(
    connection=context.config.attributes["connection"],
    # SQLite can roll a CREATE TABLE back; a half-made schema must not stay.
    transactional_ddl=True,
)
with context.begin_transaction():
    context.run_migrations()
