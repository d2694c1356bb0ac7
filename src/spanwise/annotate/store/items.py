"""Items: a prompt, its passages and its responses, as they are stored and read.

Texts are stored once each, under their hash, with the boundaries that spans snap to (`Segments`). Slots of an item are
made here with it and handed out by `work/queue.py`. What people say about an item lies elsewhere (`annotations.py`).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy import Connection, RowMapping, Table, func, insert, select

from spanwise.annotate.store import tables
from spanwise.annotate.store.body import response_key
from spanwise.annotate.store.database import Database, new_id
from spanwise.annotate.store.project import Project
from spanwise.annotate.store.refusals import UnknownError
from spanwise.annotate.store.setup import touch_queue
from spanwise.feedback import FeedbackRecord, Message, Passage, Record, Tool, Tools, Turns
from spanwise.text import Span, get_segmenter, graphemes, pieces, text_hash

CONVERSATION = "conversation"  # under this name the stored values of an item hold the turns of its prompt

VERSION = 2
"""Raised whenever one of the lists may come out otherwise."""
Bounds = tuple[tuple[int, int], ...]


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
    """All boundaries of `text`. They are right by how they are made: checking them would take as long again."""
    return Segments.model_construct(
        words=_pairs(pieces(text)),
        sub_sentences=_pairs(get_segmenter("sub-sentence")(text)),
        sentences=_pairs(get_segmenter("sentence")(text)),
        joined=tuple(offset for cluster in graphemes(text) for offset in range(cluster.start + 1, cluster.end)),
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
    add_texts(connection, {response.text for new_item in new for response in new_item.record.responses})
    ids, rows = item_rows(project, new, first=next_position(connection, project), batch_id=batch_id)
    for table, some in rows:
        _insert(connection, table, some)
    touch_queue(connection, project)
    return ids


def next_position(connection: Connection, project: Project) -> int:
    """The place in the order of import that the next item gets."""
    last = select(func.coalesce(func.max(tables.item.c.position), 0)).where(tables.item.c.project_id == project.id)
    return connection.execute(last).scalar_one() + 1


def item_rows(
    project: Project, new: Sequence[NewItem], *, first: int, batch_id: str | None
) -> tuple[list[str], list[tuple[Table, list[dict[str, Any]]]]]:
    """The ids of new items, and the rows that they are, by table in the order in which they can be inserted."""
    ids = [new_id() for _ in new]
    pairs = list(zip(ids, new, strict=True))
    rows = [_item_row(project, new_item, i, first + n, batch_id) for n, (i, new_item) in enumerate(pairs)]
    return ids, [
        (tables.item, rows),
        (tables.response, [row for i, new_item in pairs for row in _responses(i, new_item)]),
        (tables.passage, [row for i, new_item in pairs for row in _passages(i, new_item)]),
        (tables.slot, [slot for row in rows for slot in open_slots(row, range(row["overlap"]))]),
    ]


def add_texts(connection: Connection, contents: set[str]) -> None:
    """Stores texts with their boundaries, each once. They are found by their hash, and harm nobody before they are."""
    for table, rows in text_rows(connection, contents):
        _insert(connection, table, rows)


def text_rows(connection: Connection, contents: set[str]) -> list[tuple[Table, list[dict[str, Any]]]]:
    """The rows of those texts that are not stored yet."""
    by_hash = {text_hash(content): content for content in contents}
    known = select(tables.text.c.sha256).where(tables.text.c.sha256.in_(list(by_hash)))
    absent = sorted(by_hash.keys() - set(connection.execute(known).scalars()))
    texts = [{"sha256": key, "content": by_hash[key], "n_cp": len(by_hash[key])} for key in absent]
    bounds = [{"sha256": key, "version": VERSION, "bounds": dict(segments_of(by_hash[key]))} for key in absent]
    return [(tables.text, texts), (tables.segmentation, bounds)]


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


def open_slots(item: Any, numbers: range) -> list[dict[str, Any]]:
    """Rows of open slots for an item row; gold and training items get theirs when they are handed out."""
    if item["purpose"] != "normal":
        return []
    shared = {name: item[name] for name in ("project_id", "round", "priority", "position")}
    return [
        {"item_id": item["id"], "k": k, "kind": "normal", "state": "open", "suggested": False, **shared}
        for k in numbers
    ]


def _pairs(spans: Sequence[Span]) -> Bounds:
    return tuple((span.start, span.end) for span in spans)


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
    turns = new.record.model_dump(mode="json", include={"messages", "tools"})
    return {
        "id": item_id,
        "project_id": project.id,
        "ext_id": new.ext_id,
        "position": position,
        "prompt": new.record.prompt,
        "refs": list(new.record.references),
        "meta": {**new.meta, **({CONVERSATION: turns} if turns else {})},
        "round": project.round,
        "priority": new.priority,
        "overlap": new.overlap,
        "purpose": new.purpose,
        "selection_reason": new.selection_reason,
        "selection_prob": new.selection_prob,
        "batch_id": batch_id,
    }


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


def _insert(connection: Connection, table: Any, rows: list[dict[str, Any]]) -> None:
    if rows:
        connection.execute(insert(table), rows)
