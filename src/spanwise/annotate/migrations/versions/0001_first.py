"""All tables, and the triggers that keep what must not change."""

from alembic import op

from spanwise.annotate.migrations.triggers import create_triggers
from spanwise.annotate.tables import metadata

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Makes everything."""
    metadata.create_all(op.get_bind())
    create_triggers(op.get_bind())
