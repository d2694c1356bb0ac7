"""The manager's side: how far the project is, how well people agree, what is lent to whom, and what happened."""

from typing import Annotated, Any

from pydantic import Field

from spanwise.annotate.exchange import measure_agreement
from spanwise.annotate.rounds import RoundJob
from spanwise.annotate.store import (
    EventPage,
    Item,
    ItemPage,
    ItemState,
    annotations_of,
    current,
    get_item,
    history,
    list_items,
)
from spanwise.annotate.web.endpoints import Call, Endpoint, Page, Redirect
from spanwise.annotate.work import (
    Progress,
    SlotKey,
    assign,
    expire,
    gold_report,
    progress,
    reopen_skipped,
    set_groups,
    set_overlap,
)
from spanwise.feedback import Record

PAGE_SIZE = 50
STATES: tuple[ItemState, ...] = ("open", "leased", "done", "skipped")


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


class GroupsRequest(Record):
    """The groups of a user."""

    groups: Annotated[tuple[str, ...], Field(max_length=100)]


def show_overview(call: Call) -> Page:
    """Progress, pace, leases; agreement is fetched by the page, because it takes a moment."""
    shown = {
        "progress": progress(call.database, call.project),
        "gold": gold_report(call.database, call.project),
        "round": current(call.database, call.project).round,
        "job": call.site.parts.get(RoundJob),
    }
    return Page("overview.html", shown, {})


def show_items(call: Call) -> Page:
    """All items, page by page."""
    return Page(
        "items.html",
        {
            "page": _items(call),
            "states": STATES,
            "state": call.query("state"),
            "query": call.query("q"),
            "offset": call.number("offset", 0),
            "size": PAGE_SIZE,
        },
    )


def show_item(call: Call) -> Page:
    """One item with all that was said about it and all that happened to it."""
    item = get_item(call.database, call.project, call.path("item_id"))
    annotations = annotations_of(call.database, call.project, item.id, all_versions=True)
    events = history(call.database, subject=item.id)
    return Page("item.html", {"item": item, "annotations": annotations, "events": events})


def _items(call: Call) -> ItemPage:
    known: dict[str, ItemState] = {one: one for one in STATES}
    state = known.get(call.query("state"))
    offset, query = call.number("offset", 0), call.query("q")[:200]
    return list_items(call.database, call.project, state=state, query=query, offset=offset, limit=PAGE_SIZE)


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
    return measure_agreement(call.database, call.project, resamples=resamples).as_dict()


def api_items(call: Call) -> ItemPage:
    """A page of items, by state and words of the prompt."""
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
    Endpoint("POST", "/api/v1/assignments", api_assign, "manage", takes=AssignRequest, scope="admin", status=204),
    Endpoint(
        "PUT", "/api/v1/users/{name}/groups", api_groups, "manage", takes=GroupsRequest, scope="admin", status=204
    ),
    Endpoint("GET", "/api/v1/events", api_events, "view", gives=EventPage, scope="read"),
)
