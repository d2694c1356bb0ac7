"""Items: a prompt, its passages and its responses, as they are stored, read and listed.

Texts are stored once each, under their hash, with the boundaries that spans snap to (`Segments`). Slots of an item are
made here with it and handed out by `work/queue.py`. What people say about an item lies elsewhere (`annotations.py`).
"""

import itertools
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import regex
from sqlalchemy import Connection, RowMapping, Select, func, insert, or_, select

from spanwise.annotate.store import tables
from spanwise.annotate.store.body import response_key
from spanwise.annotate.store.database import Database, new_id
from spanwise.annotate.store.project import Project
from spanwise.annotate.store.refusals import UnknownError
from spanwise.feedback import FeedbackRecord, Message, Passage, Record, Tool, Tools, Turns
from spanwise.text import Span, get_segmenter, text_hash

CONVERSATION = "conversation"
"""Under this name the stored values of an item hold the turns of its prompt."""

VERSION = 1
"""Raised whenever one of the lists may come out otherwise."""
Bounds = tuple[tuple[int, int], ...]
_RUN = re.compile(r"\S+")  # what counts as white space is as in str.split
_WITHOUT_SPACES = regex.compile(r"[\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}]")
_BOUNDARY = regex.compile(r"(?w)\b")
_GRAPHEME = regex.compile(r"\X")
ItemState = Literal["open", "leased", "done", "skipped"]


class Segments(Record):
    """Where one may cut a text; all offsets are code points."""

    words: Bounds
    """White space left out."""
    sub_sentences: Bounds
    """They partition the text, as training does."""
    sentences: Bounds
    joined: tuple[int, ...]
    """Offsets inside a grapheme, where no span may begin or end."""


def segments_of(text: str) -> Segments:
    """All boundaries of `text`."""
    joined = _joined(text)
    return Segments(
        words=_words(text, frozenset(joined)),
        sub_sentences=_pairs(get_segmenter("sub-sentence")(text)),
        sentences=_pairs(get_segmenter("sentence")(text)),
        joined=joined,
    )


class ItemResponse(Record):
    """One response of an item."""

    key: str
    """Its name in bodies: "r1", "r2", ..."""
    text: str
    sha256: str
    model: str | None
    segments: Segments


class Item(Record):
    """What an annotator looks at."""

    id: str
    ext_id: str
    prompt: str
    messages: Turns = ()
    """The turns before the responses, where the prompt is a conversation."""
    tools: Tools = ()
    references: tuple[str, ...]
    passages: tuple[Passage, ...]
    responses: tuple[ItemResponse, ...]
    meta: dict[str, Any]
    round: int
    priority: float
    overlap: int
    purpose: Literal["normal", "gold", "train"]

    def response(self, key: str) -> ItemResponse | None:
        """The response called `key`, if there is one."""
        return next((response for response in self.responses if response.key == key), None)


class ItemRow(Record):
    """An item in a list, with its slots by state."""

    id: str
    ext_id: str
    prompt: str
    round: int
    priority: float
    overlap: int
    purpose: str
    batch_id: str | None
    open: int
    leased: int
    submitted: int
    skipped: int


class ItemPage(Record):
    """One page of a list of items."""

    total: int
    rows: tuple[ItemRow, ...]


@dataclass(frozen=True, slots=True)
class NewItem:
    """What is to be stored with a record's texts."""

    record: FeedbackRecord
    ext_id: str
    meta: dict[str, Any]
    purpose: str
    priority: float
    overlap: int
    selection_reason: str | None = None
    selection_prob: float | None = None


def add_items(connection: Connection, project: Project, new: Sequence[NewItem], *, batch_id: str | None) -> list[str]:
    """Stores items with their texts and open slots; returns their ids, in order."""
    last = select(func.coalesce(func.max(tables.item.c.position), 0)).where(tables.item.c.project_id == project.id)
    first = connection.execute(last).scalar_one() + 1
    ids = [new_id() for _ in new]
    _add_texts(connection, {response.text for new_item in new for response in new_item.record.responses})
    rows = [
        _item_row(project, new_item, i, first + n, batch_id)
        for n, (i, new_item) in enumerate(zip(ids, new, strict=True))
    ]
    _insert(connection, tables.item, rows)
    _insert(
        connection,
        tables.response,
        [row for i, new_item in zip(ids, new, strict=True) for row in _responses(i, new_item)],
    )
    _insert(
        connection,
        tables.passage,
        [row for i, new_item in zip(ids, new, strict=True) for row in _passages(i, new_item)],
    )
    _insert(connection, tables.slot, [slot for row in rows for slot in open_slots(row, range(row["overlap"]))])
    return ids


def get_item(database: Database, project: Project, item_id: str) -> Item:
    """The item called `item_id`; raises UnknownError."""
    with database.read() as connection:
        return load_item(connection, project, item_id)


def load_item(connection: Connection, project: Project, item_id: str) -> Item:
    """The same on an open connection."""
    return load_items(connection, project, [item_id])[item_id]


def load_items(connection: Connection, project: Project, ids: Sequence[str]) -> dict[str, Item]:
    """Several items by id; raises UnknownError for the first that is not there."""
    item, response, passage = tables.item, tables.response, tables.passage
    chosen = item.c.project_id == project.id, item.c.id.in_(ids)
    rows = {row["id"]: row for row in connection.execute(select(item).where(*chosen)).mappings()}
    absent = [item_id for item_id in ids if item_id not in rows]
    if absent:
        raise UnknownError(f"There is no item {absent[0]!r:.60} in this project.")
    passages: dict[str, list[Passage]] = {}
    for row in connection.execute(select(passage).where(passage.c.item_id.in_(ids)).order_by(passage.c.k)).mappings():
        told = Passage.model_construct(title=row["title"], sentences=tuple(row["sentences"]))
        passages.setdefault(row["item_id"], []).append(told)
    query = (
        select(response, tables.text.c.content, tables.segmentation.c.bounds)
        .join(tables.text, tables.text.c.sha256 == response.c.text_sha256)
        .join(tables.segmentation, tables.segmentation.c.sha256 == response.c.text_sha256)
        .where(response.c.item_id.in_(ids), tables.segmentation.c.version == VERSION)
        .order_by(response.c.k)
    )
    responses: dict[str, list[ItemResponse]] = {}
    for row in connection.execute(query).mappings():
        responses.setdefault(row["item_id"], []).append(_response(row))
    return {i: _item(rows[i], passages.get(i, []), responses.get(i, [])) for i in ids}


def list_items(
    database: Database,
    project: Project,
    *,
    state: ItemState | None = None,
    query: str = "",
    offset: int = 0,
    limit: int = 50,
) -> ItemPage:
    """A page of the project's items in order of import, with how their slots stand."""
    item = tables.item
    chosen = select(item).where(item.c.project_id == project.id)
    if query:
        like = "%" + query.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_") + "%"
        chosen = chosen.where(or_(item.c.ext_id.ilike(like, escape="\\"), item.c.prompt.ilike(like, escape="\\")))
    if state is not None:
        chosen = _in_state(chosen, state)
    with database.read() as connection:
        total = connection.execute(select(func.count()).select_from(chosen.subquery())).scalar_one()
        page = chosen.order_by(item.c.position).offset(offset).limit(min(limit, 200))
        rows = connection.execute(page).mappings().all()
        counts = _slot_counts(connection, [row["id"] for row in rows])
    return ItemPage(total=total, rows=tuple(_row(row, counts.get(row["id"], {})) for row in rows))


def open_slots(item: Any, numbers: range) -> list[dict[str, Any]]:
    """Rows of open slots for an item row; gold and training items get theirs when they are handed out."""
    if item["purpose"] != "normal":
        return []
    shared = {name: item[name] for name in ("project_id", "round", "priority", "position")}
    return [
        {"item_id": item["id"], "k": k, "kind": "normal", "state": "open", "suggested": False, **shared}
        for k in numbers
    ]


def _pairs(spans: tuple[Span, ...]) -> Bounds:
    return tuple((span.start, span.end) for span in spans)


def _words(text: str, joined: frozenset[int]) -> Bounds:
    bounds: list[tuple[int, int]] = []
    for run in _RUN.finditer(text):
        start, end = run.span()
        cuts = [start, end]
        if _WITHOUT_SPACES.search(run.group()):
            inner = (start + cut.start() for cut in _BOUNDARY.finditer(run.group()))
            cuts = sorted({start, end, *(cut for cut in inner if cut not in joined)})
        bounds += itertools.pairwise(cuts)
    return tuple(bounds)


def _joined(text: str) -> tuple[int, ...]:
    if text.isascii() and "\r" not in text:
        return ()
    clusters = (match.span() for match in _GRAPHEME.finditer(text))
    return tuple(offset for start, end in clusters for offset in range(start + 1, end))


def _in_state(chosen: Select[Any], state: ItemState) -> Select[Any]:
    slot, item = tables.slot, tables.item
    of_item = select(slot.c.k).where(slot.c.item_id == item.c.id)
    if state == "done":
        return chosen.where(of_item.exists(), ~of_item.where(slot.c.state.in_(("open", "leased"))).exists())
    return chosen.where(of_item.where(slot.c.state == state).exists())


def _slot_counts(connection: Connection, ids: Sequence[str]) -> dict[str, dict[str, int]]:
    slot = tables.slot
    grouped = select(slot.c.item_id, slot.c.state, func.count()).where(slot.c.item_id.in_(ids))
    counts: dict[str, dict[str, int]] = {}
    for item_id, state, count in connection.execute(grouped.group_by(slot.c.item_id, slot.c.state)):
        counts.setdefault(item_id, {})[state] = count
    return counts


def _row(row: RowMapping, counts: dict[str, int]) -> ItemRow:
    shared = {name: row[name] for name in ("id", "ext_id", "round", "priority", "overlap", "purpose", "batch_id")}
    return ItemRow(
        prompt=row["prompt"][:200],
        open=counts.get("open", 0),
        leased=counts.get("leased", 0),
        submitted=counts.get("submitted", 0),
        skipped=counts.get("skipped", 0),
        **shared,
    )


def _item(row: RowMapping, passages: list[Passage], responses: list[ItemResponse]) -> Item:
    shared = {name: row[name] for name in ("id", "ext_id", "prompt", "meta", "round", "priority", "overlap", "purpose")}
    told: dict[str, Any] = shared["meta"].get(CONVERSATION, {})
    shared["meta"] = {name: value for name, value in shared["meta"].items() if name != CONVERSATION}
    return Item.model_construct(
        messages=tuple(Message.model_validate(turn) for turn in told.get("messages", ())),
        tools=tuple(Tool.model_validate(tool) for tool in told.get("tools", ())),
        references=tuple(row["refs"]),
        passages=tuple(passages),
        responses=tuple(responses),
        **shared,
    )


def _response(row: RowMapping) -> ItemResponse:
    return ItemResponse.model_construct(
        key=response_key(row["k"]),
        text=row["content"],
        sha256=row["text_sha256"],
        model=row["model"],
        segments=_segments(row["bounds"]),
    )


def _segments(bounds: dict[str, Any]) -> Segments:
    """The stored boundaries, which need no second validation."""
    pairs = {name: tuple(map(tuple, bounds[name])) for name in ("words", "sub_sentences", "sentences")}
    return Segments.model_construct(None, joined=tuple(bounds["joined"]), **pairs)


def _item_row(project: Project, new: NewItem, item_id: str, position: int, batch_id: str | None) -> dict[str, Any]:
    return {
        "id": item_id,
        "project_id": project.id,
        "ext_id": new.ext_id,
        "position": position,
        "prompt": new.record.prompt,
        "refs": list(new.record.references),
        "meta": new.meta | _conversation(new.record),
        "round": project.round,
        "priority": new.priority,
        "overlap": new.overlap,
        "purpose": new.purpose,
        "selection_reason": new.selection_reason,
        "selection_prob": new.selection_prob,
        "batch_id": batch_id,
    }


def _conversation(record: FeedbackRecord) -> dict[str, Any]:
    """The turns of a record as a part of the item's stored values; most records have none."""
    return {CONVERSATION: record.model_dump(mode="json", include={"messages", "tools"})} if record.messages else {}


def _responses(item_id: str, new: NewItem) -> list[dict[str, Any]]:
    return [
        {"id": new_id(), "item_id": item_id, "k": k, "text_sha256": response.text_hash, "model": response.model}
        for k, response in enumerate(new.record.responses)
    ]


def _passages(item_id: str, new: NewItem) -> list[dict[str, Any]]:
    return [
        {"item_id": item_id, "k": k, "title": passage.title, "sentences": list(passage.sentences)}
        for k, passage in enumerate(new.record.passages)
    ]


def _add_texts(connection: Connection, contents: set[str]) -> None:
    by_hash = {text_hash(content): content for content in contents}
    known = select(tables.text.c.sha256).where(tables.text.c.sha256.in_(list(by_hash)))
    absent = by_hash.keys() - set(connection.execute(known).scalars())
    texts = [{"sha256": key, "content": by_hash[key], "n_cp": len(by_hash[key])} for key in sorted(absent)]
    bounds = [
        {"sha256": key, "version": VERSION, "bounds": segments_of(by_hash[key]).model_dump(mode="json")}
        for key in sorted(absent)
    ]
    _insert(connection, tables.text, texts)
    _insert(connection, tables.segmentation, bounds)


def _insert(connection: Connection, table: Any, rows: list[dict[str, Any]]) -> None:
    if rows:
        connection.execute(insert(table), rows)
