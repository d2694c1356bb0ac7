"""The tables of the annotation database, for SQLite and PostgreSQL alike; what they mean is told at each.

Texts are immutable, annotations are never updated (a change is a new version), events are only ever added:
triggers in the migrations hold that. Drafts belong to a person and an item rather than to a slot, so that a
slot that passes to somebody else takes nobody's words away. JSON is kept as text, because both databases store
text alike. This file knows no queries.
"""

import json
from typing import Any

from sqlalchemy import (
    Boolean,
    CheckConstraint,
    Column,
    Dialect,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
)
from sqlalchemy import text as sql

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
    }
)


class Json(TypeDecorator[Any]):
    """A JSON value in a text column."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Dialect) -> str | None:  # noqa: ARG002 - SQLAlchemy's signature
        return None if value is None else json.dumps(value, ensure_ascii=True, separators=(",", ":"))

    def process_result_value(self, value: Any, dialect: Dialect) -> Any:  # noqa: ARG002 - SQLAlchemy's signature
        return None if value is None else json.loads(value)


def _id() -> Column[str]:
    return Column("id", Text, primary_key=True)


def _ref(name: str, target: str, *, nullable: bool = False, primary_key: bool = False) -> Column[str]:
    return Column(name, Text, ForeignKey(target), nullable=nullable, primary_key=primary_key)


def _text(name: str, *, nullable: bool = False) -> Column[str]:
    return Column(name, Text, nullable=nullable)


def _json(name: str, *, nullable: bool = False) -> Column[Any]:
    return Column(name, Json, nullable=nullable)


def _partial(name: str, where: Any, *columns: Any) -> tuple[Index]:
    """An index of the rows that fulfil a condition, in both databases."""
    return (Index(name, *columns, sqlite_where=where, postgresql_where=where),)


# People ---------------------------------------------------------------------------------------------------------

user = Table(
    "user_account", metadata, _id(),
    Column("name_key", Text, nullable=False, unique=True),  # the name, case-folded
    _text("name"), _text("display_name"), _text("role"), _text("password_hash", nullable=True),
    _text("disabled_at", nullable=True), _text("created_at"),
)  # fmt: skip
session = Table(
    "session", metadata,
    Column("id_hash", Text, primary_key=True), _ref("user_id", "user_account.id"),
    _text("created_at"), _text("seen_at"), _text("expires_at"), Index(None, "user_id"),
)  # fmt: skip
login_key = Table(  # one-time addresses; used_at says that one is spent
    "login_key", metadata,
    Column("key_hash", Text, primary_key=True), _ref("user_id", "user_account.id"),
    _text("created_at"), _text("expires_at"), _text("used_at", nullable=True),
)  # fmt: skip
api_token = Table(
    "api_token", metadata, _id(), _ref("user_id", "user_account.id"), _text("name"),
    Column("hash", Text, nullable=False, unique=True), _json("scopes"),
    _text("created_at"), _text("expires_at", nullable=True), _text("used_at", nullable=True),
    _text("revoked_at", nullable=True), Index(None, "user_id"),
)  # fmt: skip
login_attempt = Table(  # failures only; pruned after a day
    "login_attempt", metadata, Column("id", Integer, primary_key=True, autoincrement=True),
    _text("name_key"), _text("address_hash"), _text("at"),
    Index(None, "name_key", "at"), Index(None, "address_hash", "at"),
)  # fmt: skip

# Projects -------------------------------------------------------------------------------------------------------

project = Table(
    "project", metadata, _id(), Column("slug", Text, nullable=False, unique=True), _text("title"),
    Column("round", Integer, nullable=False), _text("created_at"),
)  # fmt: skip
label_set = Table(
    "label_set", metadata, _id(), _ref("project_id", "project.id"), Column("version", Integer, nullable=False),
    _text("sha256"), _json("categories"), UniqueConstraint("project_id", "version"),
)  # fmt: skip
guideline = Table(
    "guideline", metadata, _id(), _ref("project_id", "project.id"), Column("version", Integer, nullable=False),
    _text("markdown"), _text("sha256"), UniqueConstraint("project_id", "version"),
)  # fmt: skip

# What is annotated ----------------------------------------------------------------------------------------------

text = Table(
    "text",
    metadata,
    Column("sha256", Text, primary_key=True),
    _text("content"),
    Column("n_cp", Integer, nullable=False),
)
segmentation = Table(
    "segmentation", metadata, _ref("sha256", "text.sha256", primary_key=True),
    Column("version", Integer, primary_key=True), _json("bounds"),
)  # fmt: skip
import_batch = Table(
    "import_batch", metadata, _id(), _ref("project_id", "project.id"), _text("format"), _text("filename"),
    _text("sha256"), _text("offset_unit"), _json("counts"), _json("report"), _text("at"),
    _ref("user_id", "user_account.id", nullable=True), _text("rolled_back_at", nullable=True),
)  # fmt: skip
item = Table(
    "item", metadata, _id(), _ref("project_id", "project.id"), _text("ext_id"),
    Column("position", Integer, nullable=False), _text("prompt"), _json("refs"), _json("meta"),
    Column("round", Integer, nullable=False), Column("priority", Float, nullable=False),
    Column("overlap", Integer, nullable=False), _text("purpose"),  # normal, gold or train
    _text("selection_reason", nullable=True), Column("selection_prob", Float, nullable=True),
    _ref("batch_id", "import_batch.id", nullable=True),
    UniqueConstraint("project_id", "ext_id"), Index(None, "project_id", "position"), Index(None, "batch_id"),
    *_partial("ix_item_special", sql("purpose <> 'normal'"), "project_id", "purpose", "position"),
)  # fmt: skip
response = Table(
    "response", metadata, _id(), _ref("item_id", "item.id"), Column("k", Integer, nullable=False),
    _ref("text_sha256", "text.sha256"), _text("model", nullable=True), UniqueConstraint("item_id", "k"),
)  # fmt: skip
passage = Table(
    "passage", metadata, _ref("item_id", "item.id", primary_key=True), Column("k", Integer, primary_key=True),
    _text("title"), _json("sentences"),
)  # fmt: skip

# The queue ------------------------------------------------------------------------------------------------------

slot = Table(
    "slot", metadata,
    _ref("item_id", "item.id", primary_key=True), Column("round", Integer, primary_key=True),
    Column("k", Integer, primary_key=True), _ref("project_id", "project.id"), _text("kind"),
    _text("state"),  # open, leased, submitted or skipped
    Column("priority", Float, nullable=False), Column("position", Integer, nullable=False),
    _ref("user_id", "user_account.id", nullable=True), _text("lease_token", nullable=True),
    _text("lease_expires_at", nullable=True), _text("started_at", nullable=True),
    _json("response_order", nullable=True), Column("suggested", Boolean, nullable=False),
    UniqueConstraint("item_id", "round", "user_id"),
    CheckConstraint("state IN ('open','leased','submitted','skipped')", name="state"),
    CheckConstraint("state NOT IN ('leased','submitted','skipped') OR user_id IS NOT NULL", name="owner"),
    Index("ix_slot_queue", "project_id", "state", "kind", sql("priority DESC"), "position", "k"),
    Index(None, "user_id", "state"),
)  # fmt: skip
queue = Table(  # its version rises whenever slots become open or change their place: who had passed them looks again
    "queue", metadata, _ref("project_id", "project.id", primary_key=True), Column("version", Integer, nullable=False),
)  # fmt: skip
tally = Table(  # how the slots of an item stand; triggers keep it, so that no list counts slots
    "tally", metadata, _ref("item_id", "item.id", primary_key=True), _ref("project_id", "project.id"),
    *(Column(name, Integer, nullable=False) for name in ("position", "open", "leased", "submitted", "skipped")),
    Index(None, "project_id", "position"),
    *_partial("ix_tally_open", sql("open > 0"), "project_id", "position"),
    *_partial("ix_tally_leased", sql("leased > 0"), "project_id", "position"),
    *_partial("ix_tally_skipped", sql("skipped > 0"), "project_id", "position"),
    *_partial("ix_tally_done", sql("open = 0 AND leased = 0 AND submitted + skipped > 0"), "project_id", "position"),
)  # fmt: skip
membership = Table(  # groups of people, which exist while they have members
    "membership", metadata, Column("group_name", Text, primary_key=True),
    _ref("user_id", "user_account.id", primary_key=True), Index(None, "user_id"),
)  # fmt: skip
assignment = Table(  # who may get an item; everybody where it has none. `who` is a user's id, or "@" and a group's name
    "assignment", metadata, _ref("item_id", "item.id", primary_key=True), Column("who", Text, primary_key=True),
    Index(None, "who"),
)  # fmt: skip
draft = Table(
    "draft", metadata,
    _ref("item_id", "item.id", primary_key=True), Column("round", Integer, primary_key=True),
    _ref("user_id", "user_account.id", primary_key=True), Column("rev", Integer, nullable=False),
    _json("document"), _text("updated_at"), _text("save_id", nullable=True),
)  # fmt: skip

# What people said -----------------------------------------------------------------------------------------------

annotation = Table(
    "annotation", metadata, _id(), _ref("project_id", "project.id"), _ref("item_id", "item.id"),
    Column("round", Integer, nullable=False), Column("slot_k", Integer, nullable=True),
    _ref("user_id", "user_account.id", nullable=True), _text("annotator", nullable=True),  # as a file names it
    _text("kind"), Column("extra", Boolean, nullable=False), Column("version", Integer, nullable=False),
    _ref("supersedes_id", "annotation.id", nullable=True), _ref("label_set_id", "label_set.id"),
    _ref("guideline_id", "guideline.id", nullable=True), _text("skipped_reason", nullable=True), _text("comment"),
    _text("started_at", nullable=True), _text("submitted_at"), Column("active_ms", Integer, nullable=False),
    Column("client_submission_id", Text, nullable=False, unique=True), _text("sha256"),
    _json("response_order", nullable=True), Column("suggested", Boolean, nullable=False),
    _json("provenance", nullable=True), _ref("batch_id", "import_batch.id", nullable=True),
    UniqueConstraint("supersedes_id"), Index(None, "item_id", "round", "user_id"),
    Index(None, "user_id", "submitted_at"),
    Index(None, "project_id", "submitted_at"), Index(None, "batch_id"),
)  # fmt: skip


def _said(name: str, *columns: Any) -> Table:
    """A table of parts of annotations, in the order they were given."""
    owner = Column("annotation_id", Text, ForeignKey("annotation.id"), primary_key=True)
    return Table(name, metadata, owner, Column("ord", Integer, primary_key=True), *columns)


judgement = _said(  # which responses were looked at for marks, and which of them found free of errors
    "judgement", Column("target", Integer, nullable=False), Column("no_errors", Boolean, nullable=False)
)
span = _said(
    "span", _text("body_id"), Column("target", Integer, nullable=False), Column("start", Integer, nullable=False),
    Column("end", Integer, nullable=False), _text("quote"), _text("category"), _text("severity", nullable=True),
    _text("comment"), _text("origin"), _text("suggestion_id", nullable=True), _text("antecedent", nullable=True),
    Column("antecedent_start", Integer, nullable=True), Column("antecedent_end", Integer, nullable=True),
    CheckConstraint('start >= 0 AND "end" > start', name="range"),
)  # fmt: skip
missing = _said("missing", Column("target", Integer, nullable=False), _text("category"), _text("comment"))
evidence = _said(  # of the span or the missing information at position `owner`
    "evidence", _text("owner_kind"), Column("owner", Integer, nullable=False),
    Column("passage", Integer, nullable=False),
    _json("sentences"), Column("title", Boolean, nullable=False), _text("relation"),
)  # fmt: skip
correction = _said(
    "correction", Column("target", Integer, nullable=False), _text("content"), _text("base_sha256"), _text("reason"),
    _text("diff_algo"), _json("ops"), Column("words_changed", Integer, nullable=False),
)  # fmt: skip
preference = _said(
    "preference", _text("aspect"), Column("a", Integer, nullable=False), Column("b", Integer, nullable=False),
    _text("choice"), Column("strength", Integer, nullable=True),
)  # fmt: skip
ranking = _said("ranking", _text("aspect"), _json("tiers"))
answer = _said("answer", _text("key"), _json("value"))

SAID = (judgement, span, missing, evidence, correction, preference, ranking, answer)
"""The tables that together hold a body."""

# Quality, suggestions, records ----------------------------------------------------------------------------------

suggestion = Table(
    "suggestion", metadata, _id(), _ref("item_id", "item.id"), _text("source"), _text("version"), _json("body"),
    Column("score", Float, nullable=True), _text("at"), UniqueConstraint("item_id", "source", "version"),
)  # fmt: skip
gold = Table(
    "gold", metadata, _ref("item_id", "item.id", primary_key=True), _json("body"), _text("at"),
    _ref("user_id", "user_account.id", nullable=True),
)  # fmt: skip
gold_score = Table(
    "gold_score", metadata, _ref("annotation_id", "annotation.id", primary_key=True),
    _ref("user_id", "user_account.id"), Column("score", Float, nullable=False),
    _json("details"), _text("at"), Index(None, "user_id", "at"),
)  # fmt: skip
adjudication = Table(
    "adjudication", metadata, _ref("annotation_id", "annotation.id", primary_key=True),
    _json("source_ids"), _json("reasons"),
)  # fmt: skip
comment = Table(  # a question about an item; what replies to one is an answer
    "comment", metadata, _id(), _ref("item_id", "item.id"), _ref("user_id", "user_account.id"),
    _ref("reply_to", "comment.id", nullable=True), _text("content"),
    _text("at"), _text("resolved_at", nullable=True), Index(None, "item_id"), Index(None, "reply_to"),
)  # fmt: skip
export_log = Table(
    "export_log", metadata, _id(), _ref("project_id", "project.id"), _text("format"), _json("selection"),
    Column("rows", Integer, nullable=False), _text("sha256"), _text("at"),
    _ref("user_id", "user_account.id", nullable=True),
)  # fmt: skip
event = Table(
    "event", metadata, Column("seq", Integer, primary_key=True, autoincrement=True), _text("at"),
    _text("user_id", nullable=True), _text("kind"), _text("subject"), _json("data"), Index(None, "subject", "seq"),
)  # fmt: skip
