"""How good the work is: reliability of people, agreement by week, what became of suggestions, and gold items."""

from typing import Literal

from spanwise.annotate.manage import (
    ReliabilityPanel,
    UptakePanel,
    measure_reliability,
    measure_uptake,
)
from spanwise.annotate.store import annotations_of
from spanwise.annotate.web.bodies import RequestError
from spanwise.annotate.web.endpoints import Call, Endpoint, Page, Redirect
from spanwise.annotate.work import set_gold, unset_gold
from spanwise.feedback import Record


class GoldRequest(Record):
    """Which annotation is the right answer of its item, and what the item is for."""

    annotation_id: str
    purpose: Literal["gold", "train"]


def show_quality(call: Call) -> Page:
    """The figures on one page."""
    shown = {"panel": measure_reliability(call.database, call.project), "uptake": _uptake(call)}
    return Page("quality.html", shown)


def _uptake(call: Call) -> UptakePanel:
    return measure_uptake(call.database, call.project)


def make_gold(call: Call) -> Redirect:
    """Makes an annotation the right answer of its item, from the item's page."""
    sent = {"annotation_id": call.field("annotation_id"), "purpose": call.field("purpose")}
    _make_gold(call, GoldRequest.model_validate(sent))
    return Redirect(f"/items/{call.path('item_id')}")


def drop_gold(call: Call) -> Redirect:
    """Makes a gold or training item an ordinary one, from the item's page."""
    unset_gold(call.database, call.project, call.path("item_id"), by=call.who)
    return Redirect(f"/items/{call.path('item_id')}")


def _make_gold(call: Call, wanted: GoldRequest) -> None:
    item_id = call.path("item_id")
    said = annotations_of(call.database, call.project, item_id, all_versions=True)
    body = next((one.body for one in said if one.id == wanted.annotation_id), None)
    if body is None:
        raise RequestError(404, f"The item has no annotation {wanted.annotation_id!r:.60}.")
    set_gold(call.database, call.project, item_id, body, kind=wanted.purpose, by=call.who)


def api_reliability(call: Call) -> ReliabilityPanel:
    """How far each person can be relied on, and agreement by week."""
    resamples = call.number("resamples", 200, most=2000)
    return measure_reliability(call.database, call.project, resamples=resamples)


def api_uptake(call: Call) -> UptakePanel:
    """What people made of suggestions."""
    return _uptake(call)


def api_make_gold(call: Call) -> None:
    """Makes an annotation the right answer of its item."""
    _make_gold(call, call.body)


def api_drop_gold(call: Call) -> None:
    """Makes a gold or training item an ordinary one."""
    unset_gold(call.database, call.project, call.path("item_id"), by=call.who)


_GOLD = "/api/v1/items/{item_id}/gold"

ENDPOINTS = (
    Endpoint("GET", "/quality", show_quality, "view"),
    Endpoint("POST", "/items/{item_id}/gold", make_gold, "manage"),
    Endpoint("POST", "/items/{item_id}/ordinary", drop_gold, "manage"),
    Endpoint("GET", "/api/v1/reliability", api_reliability, "view", gives=ReliabilityPanel, scope="read"),
    Endpoint("GET", "/api/v1/suggestions/uptake", api_uptake, "view", gives=UptakePanel, scope="read"),
    Endpoint("PUT", _GOLD, api_make_gold, "manage", takes=GoldRequest, scope="admin", status=204),
    Endpoint("DELETE", _GOLD, api_drop_gold, "manage", scope="admin", status=204),
)
