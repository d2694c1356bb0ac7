"""Runs the migrations on the connection that `upkeep.upgrade` hands over, inside its transaction."""

from alembic import context

from spanwise.annotate.store.tables import metadata

connection = context.config.attributes["connection"]
context.configure(connection=connection, target_metadata=metadata, transactional_ddl=True, render_as_batch=True)
context.run_migrations()
