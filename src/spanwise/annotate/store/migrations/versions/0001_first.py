"""All tables, and the triggers that keep what must not change.

The statements lie beside this file, one set per database, as they were when the first version was released: a
migration must not follow later changes of `tables.py`.
"""

from importlib import resources

from alembic import op

from spanwise.annotate.store.migrations.triggers import create_triggers

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Makes everything."""
    connection = op.get_bind()
    folder = resources.files("spanwise.annotate.store") / "migrations" / "versions"
    script = (folder / f"0001.{connection.dialect.name}.sql").read_text(encoding="utf-8")
    for statement in filter(None, map(str.strip, script.split(";\n"))):
        connection.exec_driver_sql(statement)
    create_triggers(connection)
