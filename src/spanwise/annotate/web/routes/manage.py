"""The manager's side: how far the project is, how well people agree, what is lent to whom, and what happened."""

from collections.abc import Mapping
from typing import Annotated, Any
from urllib.parse import urlencode

from pydantic import Field

from spanwise.annotate.exchange import agreement_panel, list_batches
from spanwise.annotate.manage import (
    PURPOSES,
    STATES,
    Change,
    ChangeRow,
    ItemFilter,
    ItemPage,
    assign,
    assigned_to,
    change_items,
    list_changes,
    list_items,
    list_threads,
    reopen_skipped,
    set_groups,
    set_overlap,
    take_change_back,
)
from spanwise.annotate.rounds import RoundJob
from spanwise.annotate.store import EventPage, Item, annotations_of, current, get_item, history
from spanwise.annotate.web.endpoints import Call, Endpoint, Page, Redirect
from spanwise.annotate.work import Progress, SlotKey, expire, gold_report, progress
from spanwise.feedback import Record

PAGE_SIZE = 50
FILTER = ("state", "q", "round", "purpose", "batch", "annotator", "assigned", "asked")
"""What the list of items is asked for by, in addresses and forms."""


class ExpireRequest(Record):
    """Names a lent slot."""

    round: Annotated[int, Field(ge=0)]
    k: Annotated[int, Field(ge=0)]


class OverlapRequest(Record):
    """How many people shall annotate an item."""

    overlap: Annotated[int, Field(ge=1, le=50)]


class AssignRequest(Record):
    """Who alone may have some items."""

    item_ids: Annotated[tuple[str, ...], Field(min_length=1, max_length=10_000)]
    names: Annotated[tuple[str, ...], Field(max_length=100)]
    """Names of users, and of groups with an "@" before them; none lets everybody have them again."""


class ChangeRequest(Record):
    """What the items that a filter finds get."""

    chosen: ItemFilter
    change: Change


class ChangesAnswer(Record):
    """The last changes of many items, newest first."""

    rows: tuple[ChangeRow, ...]


class GroupsRequest(Record):
    """The groups of a user."""

    groups: Annotated[tuple[str, ...], Field(max_length=100)]


def show_overview(call: Call) -> Page:
    """Progress, pace, leases; agreement is fetched by the page, because it takes a moment."""
    shown = {
        "progress": progress(call.database, call.project),
        "gold": gold_report(call.database, call.project),
        "questions": list_threads(call.database, call.project, call.who, limit=1).open,
        "round": current(call.database, call.project).round,
        "job": call.site.parts.get(RoundJob),
    }
    return Page("overview.html", shown, {})


def show_items(call: Call) -> Page:
    """The items that the filter finds, page by page, and what may be changed of all of them."""
    asked = {name: call.query(name)[:200] for name in FILTER}
    shown = {
        "page": _items(call),
        "states": STATES,
        "purposes": PURPOSES,
        "batches": list_batches(call.database, call.project),
        "changes": list_changes(call.database, call.project, limit=5),
        "asked": asked,
        "address": urlencode({name: value for name, value in asked.items() if value}),
        "offset": call.number("offset", 0),
        "size": PAGE_SIZE,
    }
    return Page("items.html", shown)


def show_item(call: Call) -> Page:
    """One item with all that was said about it and all that happened to it."""
    item = get_item(call.database, call.project, call.path("item_id"))
    annotations = annotations_of(call.database, call.project, item.id, all_versions=True)
    shown = {
        "item": item,
        "annotations": annotations,
        "events": history(call.database, subject=item.id),
        "assigned": assigned_to(call.database, item.id),
        "threads": list_threads(call.database, call.project, call.who, item_id=item.id).rows,
    }
    return Page("item.html", shown)


def _items(call: Call) -> ItemPage:
    chosen = _filter({name: call.query(name) for name in FILTER})
    return list_items(call.database, call.project, chosen, offset=call.number("offset", 0), limit=PAGE_SIZE)


def _filter(asked: Mapping[str, str]) -> ItemFilter:
    """What is no state, round or purpose asks for nothing."""
    digits = asked["round"]
    return ItemFilter(
        state=next((one for one in STATES if one == asked["state"]), None),
        query=asked["q"][:200],
        round=int(digits) if digits.isascii() and digits.isdigit() and len(digits) < 9 else None,
        purpose=next((one for one in PURPOSES if one == asked["purpose"]), None),
        batch_id=asked["batch"],
        annotator=asked["annotator"],
        assigned=asked["assigned"],
        asked=asked["asked"] == "yes",
    )


def change_found(call: Call) -> Redirect:
    """Changes all items that the filter of the page finds."""
    asked = {name: call.field(name) for name in FILTER}
    names, everybody = call.field("names").split(), call.field("everybody") == "yes"
    given = {"names": names if names or everybody else None}
    given |= {name: call.field(name) or None for name in ("overlap", "priority")}
    change_items(call.database, call.project, _filter(asked), Change.model_validate(given), by=call.who)
    return Redirect(f"/items?{urlencode({name: value for name, value in asked.items() if value})}")


def undo_change(call: Call) -> Redirect:
    """Takes the last change of many items back."""
    take_change_back(call.database, call.project, call.field("change_id"), by=call.who)
    return Redirect("/items")


def assign_item(call: Call) -> Redirect:
    """Keeps an item for some people or groups, from its page; for everybody where none is named."""
    item_id = call.path("item_id")
    assign(call.database, call.project, [item_id], call.field("names").split(), by=call.who)
    return Redirect(f"/items/{item_id}")


def end_lease(call: Call) -> Redirect:
    """Ends a lease from the overview's table."""
    sent = ExpireRequest.model_validate({"round": call.field("round"), "k": call.field("k")})
    expire(call.database, call.project, _slot(call, sent), by=call.who)
    return Redirect("/overview")


def _slot(call: Call, sent: ExpireRequest) -> SlotKey:
    return SlotKey(item_id=call.path("item_id"), round=sent.round, k=sent.k)


def change_overlap(call: Call) -> Redirect:
    """Sets how many people annotate an item, from the item's page."""
    wanted = OverlapRequest.model_validate({"overlap": call.field("overlap")})
    set_overlap(call.database, call.project, call.path("item_id"), wanted.overlap, by=call.who)
    return Redirect(f"/items/{call.path('item_id')}")


def open_skipped(call: Call) -> Redirect:
    """Offers a skipped item again."""
    reopen_skipped(call.database, call.project, call.path("item_id"), by=call.who)
    return Redirect(f"/items/{call.path('item_id')}")


def api_progress(call: Call) -> Progress:
    """Counts, pace and leases."""
    return progress(call.database, call.project)


def api_agreement(call: Call) -> dict[str, Any]:
    """The panel of agreement, with bootstrap intervals."""
    resamples = call.number("resamples", 200, most=2000)
    return agreement_panel(call.database, call.project, resamples=resamples)


def api_items(call: Call) -> ItemPage:
    """A page of items, by `state`, `q`, `round`, `purpose`, `batch`, `annotator`, `assigned` and `asked`."""
    return _items(call)


def api_item(call: Call) -> Item:
    """One item to look at, without a lease."""
    return get_item(call.database, call.project, call.path("item_id"))


def api_expire(call: Call) -> None:
    """Ends a lease at once."""
    expire(call.database, call.project, _slot(call, call.body), by=call.who)


def api_overlap(call: Call) -> None:
    """Sets how many people annotate an item."""
    set_overlap(call.database, call.project, call.path("item_id"), call.body.overlap, by=call.who)


def api_assign(call: Call) -> None:
    """Lets some people or groups alone have items, or everybody again."""
    assign(call.database, call.project, call.body.item_ids, call.body.names, by=call.who)


def api_change(call: Call) -> ChangeRow:
    """Gives many items other people, another number of annotators or another priority, at once."""
    return change_items(call.database, call.project, call.body.chosen, call.body.change, by=call.who)


def api_changes(call: Call) -> ChangesAnswer:
    """The last changes of many items."""
    return ChangesAnswer(rows=list_changes(call.database, call.project))


def api_undo_change(call: Call) -> None:
    """Takes a change of many items back, the last one first."""
    take_change_back(call.database, call.project, call.path("change_id"), by=call.who)


def api_groups(call: Call) -> None:
    """Puts a user into groups, to which items can be assigned."""
    set_groups(call.database, call.project, call.path("name"), call.body.groups, by=call.who)


def api_events(call: Call) -> EventPage:
    """What happened, newest first."""
    return history(call.database, subject=call.query("subject") or None, offset=call.number("offset", 0))


ENDPOINTS = (
    Endpoint("GET", "/overview", show_overview, "view"),
    Endpoint("GET", "/items", show_items, "view"),
    Endpoint("GET", "/items/{item_id}", show_item, "view"),
    Endpoint("POST", "/items/{item_id}/expire", end_lease, "manage"),
    Endpoint("POST", "/items/{item_id}/overlap", change_overlap, "manage"),
    Endpoint("POST", "/items/{item_id}/reopen", open_skipped, "manage"),
    Endpoint("POST", "/items/{item_id}/assign", assign_item, "manage"),
    Endpoint("POST", "/items/change", change_found, "manage"),
    Endpoint("POST", "/items/undo", undo_change, "manage"),
    Endpoint("GET", "/api/v1/progress", api_progress, "view", gives=Progress, scope="read"),
    Endpoint("GET", "/api/v1/agreement", api_agreement, "view", gives=dict[str, Any], scope="read"),
    Endpoint("GET", "/api/v1/items", api_items, "view", gives=ItemPage, scope="read"),
    Endpoint("GET", "/api/v1/items/{item_id}", api_item, "view", gives=Item, scope="read"),
    Endpoint(
        "POST", "/api/v1/items/{item_id}/expire", api_expire, "manage", takes=ExpireRequest, scope="admin", status=204
    ),
    Endpoint(
        "PUT", "/api/v1/items/{item_id}/overlap", api_overlap, "manage", takes=OverlapRequest, scope="admin", status=204
    ),
    Endpoint("GET", "/api/v1/changes", api_changes, "view", gives=ChangesAnswer, scope="read"),
    Endpoint("POST", "/api/v1/changes", api_change, "manage", takes=ChangeRequest, gives=ChangeRow, scope="admin"),
    Endpoint("DELETE", "/api/v1/changes/{change_id}", api_undo_change, "manage", scope="admin", status=204),
    Endpoint("POST", "/api/v1/assignments", api_assign, "manage", takes=AssignRequest, scope="admin", status=204),
    Endpoint(
        "PUT", "/api/v1/users/{name}/groups", api_groups, "manage", takes=GroupsRequest, scope="admin", status=204
    ),
    Endpoint("GET", "/api/v1/events", api_events, "view", gives=EventPage, scope="read"),
)
