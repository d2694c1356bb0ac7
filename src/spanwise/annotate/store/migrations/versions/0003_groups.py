"""Groups of people, items that are kept for some people or groups, and what somebody said of an item found by both."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Adds their tables, and the index."""
    op.create_table(
        "membership",
        sa.Column("group_name", sa.Text(), nullable=False),
        sa.Column("user_id", sa.Text(), sa.ForeignKey("user_account.id", name="fk_membership_user_id"), nullable=False),
        sa.PrimaryKeyConstraint("group_name", "user_id", name="pk_membership"),
    )
    op.create_index("ix_membership_user_id", "membership", ["user_id"])
    op.create_table(
        "assignment",
        sa.Column("item_id", sa.Text(), sa.ForeignKey("item.id", name="fk_assignment_item_id"), nullable=False),
        sa.Column("who", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("item_id", "who", name="pk_assignment"),
    )
    op.create_index("ix_assignment_who", "assignment", ["who"])
    op.drop_index("ix_annotation_item_id", "annotation")
    op.create_index("ix_annotation_item_id_round_user_id", "annotation", ["item_id", "round", "user_id"])
