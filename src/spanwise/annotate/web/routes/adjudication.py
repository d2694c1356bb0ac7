"""Adjudication: items by disagreement, the lanes of one item, and the verdict."""

from typing import Annotated, Any

from pydantic import Field

from spanwise.annotate.store import get_item
from spanwise.annotate.web.endpoints import Call, Endpoint, Page
from spanwise.annotate.work import AdjudicationPage, Receipt, Verdict, adjudicate, adjudication_queue, lanes
from spanwise.feedback import Record

PAGE_SIZE = 50


class VerdictRequest(Record):
    """What holds in the end, from whose annotations, and why."""

    client_submission_id: Annotated[str, Field(min_length=8, max_length=64)]
    body: dict[str, Any]
    source_ids: tuple[str, ...]
    reasons: dict[str, str] = Field(default_factory=dict[str, str])


def show_queue(call: Call) -> Page:
    """Items that people disagree about, most first."""
    return Page("adjudicate_list.html", {"page": _queue(call), "offset": call.number("offset", 0), "size": PAGE_SIZE})


def show_lanes(call: Call) -> Page:
    """One item with a lane per annotator, whose names stay hidden."""
    item = get_item(call.database, call.project, call.path("item_id"))
    item_lanes = lanes(call.database, call.project, item.id)
    config = call.project.config
    categories = [
        category.model_dump(mode="json") | {"label": category.label or category.name} for category in config.categories
    ]
    data = {
        "item": item.model_dump(mode="json", exclude={"meta"}),
        "lanes": [lane.model_dump(mode="json") for lane in item_lanes.lanes],
        "agreed": item_lanes.agreed.model_dump(mode="json"),
        "project": {"categories": categories, "overlap_rule": config.overlap_rule, "snap": config.snap},
    }
    return Page("adjudicate.html", {"item": item}, data)


def _queue(call: Call) -> AdjudicationPage:
    return adjudication_queue(call.database, call.project, offset=call.number("offset", 0), limit=PAGE_SIZE)


def api_queue(call: Call) -> AdjudicationPage:
    """Items that people disagree about, most first."""
    return _queue(call)


def api_verdict(call: Call) -> Receipt:
    """Stores a verdict as an annotation of its own; the sources are never changed."""
    sent: VerdictRequest = call.body
    fields = {name: getattr(sent, name) for name in type(sent).model_fields}
    return adjudicate(call.database, call.project, call.who, Verdict(item_id=call.path("item_id"), **fields))


ENDPOINTS = (
    Endpoint("GET", "/adjudicate", show_queue, "adjudicate"),
    Endpoint("GET", "/adjudicate/{item_id}", show_lanes, "adjudicate"),
    Endpoint("GET", "/api/v1/adjudication", api_queue, "adjudicate", gives=AdjudicationPage, scope="read"),
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
