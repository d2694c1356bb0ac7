"""Adjudication: items by disagreement, the lanes of one item, and the verdict."""

from typing import Any

from pydantic import Field

from spanwise.annotate.store import get_item
from spanwise.annotate.web.endpoints import Call, Endpoint, Page, Redirect
from spanwise.annotate.web.routes.work import fields_of, page_frame, shown_item
from spanwise.annotate.work import (
    AdjudicationPage,
    ClientId,
    Receipt,
    Saved,
    Verdict,
    VerdictSave,
    adjudicate,
    adjudication_queue,
    lanes,
    next_undecided,
    save_verdict,
)
from spanwise.feedback import Index, Record

PAGE_SIZE = 50


class VerdictRequest(Record):
    """What holds in the end, from whose annotations, and why."""

    client_submission_id: ClientId
    body: dict[str, Any]
    source_ids: tuple[str, ...]
    reasons: dict[str, str] = Field(default_factory=dict[str, str])


class VerdictDraftRequest(Record):
    """A verdict in the making."""

    base_rev: Index
    document: dict[str, Any]
    save_id: ClientId | None = None


def show_queue(call: Call) -> Page:
    """Items that people disagree about, most first."""
    return Page("adjudicate_list.html", {"page": _queue(call), "offset": call.number("offset", 0), "size": PAGE_SIZE})


def show_lanes(call: Call) -> Page:
    """One item with a lane per annotator, whose names stay hidden."""
    item = get_item(call.database, call.project, call.path("item_id"))
    data = lanes(call.database, call.project, call.who, item.id).model_dump(mode="json", exclude={"item"})
    shown = shown_item(item, hide=call.project.config.hide_models).model_dump(mode="json") | {"round": item.round}
    return Page("adjudicate.html", {"item": item}, page_frame(call) | data | {"item": shown})


def show_next(call: Call) -> Redirect:
    """The item that follows in the queue; the queue itself behind the last one."""
    following = next_undecided(call.database, call.project, call.query("after"))
    return Redirect(f"/adjudicate/{following}" if following else "/adjudicate")


def _queue(call: Call) -> AdjudicationPage:
    return adjudication_queue(call.database, call.project, offset=call.number("offset", 0), limit=PAGE_SIZE)


def api_queue(call: Call) -> AdjudicationPage:
    """Items that people disagree about, most first."""
    return _queue(call)


def api_verdict_draft(call: Call) -> Saved:
    """Keeps a verdict in the making."""
    return save_verdict(
        call.database, call.project, call.who, VerdictSave(item_id=call.path("item_id"), **fields_of(call.body))
    )


def api_verdict(call: Call) -> Receipt:
    """Stores a verdict as an annotation of its own; the sources are never changed."""
    return adjudicate(
        call.database, call.project, call.who, Verdict(item_id=call.path("item_id"), **fields_of(call.body))
    )


ENDPOINTS = (
    Endpoint("GET", "/adjudicate", show_queue, "adjudicate"),
    Endpoint("GET", "/adjudicate/next", show_next, "adjudicate"),
    Endpoint("GET", "/adjudicate/{item_id}", show_lanes, "adjudicate"),
    Endpoint("GET", "/api/v1/adjudication", api_queue, "adjudicate", gives=AdjudicationPage, scope="read"),
    Endpoint(
        "PUT",
        "/api/v1/items/{item_id}/verdict/draft",
        api_verdict_draft,
        "adjudicate",
        takes=VerdictDraftRequest,
        gives=Saved,
        scope="admin",
    ),
    Endpoint(
        "POST",
        "/api/v1/items/{item_id}/verdict",
        api_verdict,
        "adjudicate",
        takes=VerdictRequest,
        gives=Receipt,
        scope="admin",
    ),
)
