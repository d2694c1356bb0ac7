"""What many items and lost answers need: slots counted per item, indexes for the queue, the save behind a draft."""

import sqlalchemy as sa
from alembic import op

from spanwise.annotate.store.migrations.triggers import create_tally_triggers

revision = "0002"
down_revision = "0001"

_DRAFT = """
CREATE TABLE draft_next (
  item_id TEXT NOT NULL, round INTEGER NOT NULL, user_id TEXT NOT NULL, rev INTEGER NOT NULL, document TEXT NOT NULL,
  updated_at TEXT NOT NULL, save_id TEXT, CONSTRAINT pk_draft PRIMARY KEY (item_id, round, user_id),
  CONSTRAINT fk_draft_item_id FOREIGN KEY(item_id) REFERENCES item (id),
  CONSTRAINT fk_draft_user_id FOREIGN KEY(user_id) REFERENCES user_account (id)
)
"""
_COUNTS = ("open", "leased", "submitted", "skipped")


def upgrade() -> None:
    """Adds them and counts what is there."""
    if _is_sqlite():  # it would add the column behind the constraints
        op.execute(_DRAFT)
        op.execute("INSERT INTO draft_next SELECT item_id, round, user_id, rev, document, updated_at, NULL FROM draft")
        op.execute("DROP TABLE draft")
        op.execute("ALTER TABLE draft_next RENAME TO draft")
    else:
        op.add_column("draft", sa.Column("save_id", sa.Text(), nullable=True))
    op.create_table(
        "queue",
        sa.Column("project_id", sa.Text(), sa.ForeignKey("project.id", name="fk_queue_project_id"), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("project_id", name="pk_queue"),
    )
    op.create_table(
        "tally",
        sa.Column("item_id", sa.Text(), sa.ForeignKey("item.id", name="fk_tally_item_id"), nullable=False),
        sa.Column("project_id", sa.Text(), sa.ForeignKey("project.id", name="fk_tally_project_id"), nullable=False),
        *(sa.Column(name, sa.Integer(), nullable=False) for name in ("position", *_COUNTS)),
        sa.PrimaryKeyConstraint("item_id", name="pk_tally"),
    )
    counted = ", ".join(f"COALESCE(SUM(CASE WHEN s.state = '{name}' THEN 1 ELSE 0 END), 0)" for name in _COUNTS)
    op.execute(
        f"INSERT INTO tally SELECT i.id, i.project_id, i.position, {counted} FROM item i "
        "LEFT JOIN slot s ON s.item_id = i.id GROUP BY i.id, i.project_id, i.position"
    )
    op.create_index("ix_tally_project_id_position", "tally", ["project_id", "position"])
    _partial("ix_tally_open", "tally", ["project_id", "position"], "open > 0")
    _partial("ix_tally_leased", "tally", ["project_id", "position"], "leased > 0")
    _partial("ix_tally_skipped", "tally", ["project_id", "position"], "skipped > 0")
    done = "open = 0 AND leased = 0 AND submitted + skipped > 0"
    _partial("ix_tally_done", "tally", ["project_id", "position"], done)
    special: list[str] = ["project_id", "purpose", "position"]
    _partial("ix_item_special", "item", special, "purpose <> 'normal'")
    create_tally_triggers(op.get_bind())


def _is_sqlite() -> bool:
    return op.get_bind().dialect.name == "sqlite"


def _partial(name: str, table: str, columns: list[str], where: str) -> None:
    op.create_index(name, table, columns, sqlite_where=sa.text(where), postgresql_where=sa.text(where))
