"""Answers to questions: a comment may reply to another. Nothing ever wrote one, so the table is made anew."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Makes the table, and the indexes that questions and answers are found by."""
    op.drop_table("comment")
    op.create_table(
        "comment",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("item_id", sa.Text(), sa.ForeignKey("item.id", name="fk_comment_item_id"), nullable=False),
        sa.Column("user_id", sa.Text(), sa.ForeignKey("user_account.id", name="fk_comment_user_id"), nullable=False),
        sa.Column("reply_to", sa.Text(), sa.ForeignKey("comment.id", name="fk_comment_reply_to"), nullable=True),
        sa.Column("content", sa.Text(), nullable=False),
        sa.Column("at", sa.Text(), nullable=False),
        sa.Column("resolved_at", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_comment"),
    )
    op.create_index("ix_comment_item_id", "comment", ["item_id"])
    op.create_index("ix_comment_reply_to", "comment", ["reply_to"])
