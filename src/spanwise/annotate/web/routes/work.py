"""The annotator's side: pages to work on, and the API that lends items, saves drafts and takes submissions."""

from typing import Annotated, Any

from pydantic import Field

from spanwise.annotate.store import Item, get_item, guideline_text
from spanwise.annotate.web.bodies import RequestError
from spanwise.annotate.web.endpoints import Call, Endpoint, Page
from spanwise.annotate.web.markdown import blocks_of
from spanwise.annotate.web.messages import COOKIE, LANGUAGES
from spanwise.annotate.work import (
    Claim,
    ClientId,
    Lease,
    NothingNow,
    Receipt,
    Save,
    Saved,
    Submission,
    Suggestion,
    WorkPage,
    claim,
    my_work,
    own_progress,
    release,
    renew,
    reopen,
    save_draft,
    skip,
    submit,
)
from spanwise.feedback import Index, Record

PAGE_SIZE = 50


class ClaimRequest(Record):
    """Asks for the next item, or for one in particular."""

    item_id: str | None = None


class WorkItem(Record):
    """An item as an annotator sees it: models stay hidden where the project says so."""

    id: str
    prompt: str
    messages: tuple[Any, ...]
    """The turns before the responses, where the prompt is a conversation."""
    tools: tuple[Any, ...]
    passages: tuple[Any, ...]
    responses: tuple[Any, ...]


class WorkClaim(Record):
    """A lease as the page gets it; nothing in it tells gold items from others."""

    item_id: str
    round: int
    lease_token: str
    lease_expires_at: str
    response_order: tuple[str, ...]
    suggestions: tuple[Suggestion, ...]
    can_suggest: bool
    draft: Any
    resumed: bool


class Work(Record):
    """A lent item, or why there is none."""

    claim: WorkClaim | None = None
    item: WorkItem | None = None
    nothing: NothingNow | None = None


class LeaseRequest(Record):
    """Names a lease."""

    round: Annotated[int, Field(ge=0)]
    lease_token: str


class LeaseAnswer(Record):
    """Until when the lease holds."""

    lease_expires_at: str


class DraftRequest(LeaseRequest):
    """A draft to save."""

    base_rev: Index
    document: dict[str, Any]
    save_id: ClientId | None = None


class SkipRequest(LeaseRequest):
    """Gives an item away for good."""

    reason: Annotated[str, Field(min_length=1, max_length=2000)]


class SubmitRequest(LeaseRequest):
    """A finished annotation; a repeated one with the same id is the same one."""

    client_submission_id: ClientId
    body: dict[str, Any]
    active_ms: Index


def api_claim(call: Call) -> Work:
    """Lends the next item to the user."""
    lent = claim(call.database, call.project, call.who, item_id=call.body.item_id)
    if isinstance(lent, NothingNow):
        return Work(nothing=lent)
    return _work(call, lent)


def api_reopen(call: Call) -> Work:
    """Opens the user's own submitted annotation for a new version."""
    return _work(call, reopen(call.database, call.project, call.who, call.path("annotation_id")))


def _work(call: Call, lent: Claim) -> Work:
    config = call.project.config
    item = get_item(call.database, call.project, lent.item_id)
    shared = {name: getattr(lent, name) for name in WorkClaim.model_fields if name != "can_suggest"}
    can_suggest = config.suggestions == "on_demand" and bool(lent.suggestions)
    return Work(claim=WorkClaim(**shared, can_suggest=can_suggest), item=shown_item(item, hide=config.hide_models))


def shown_item(item: Item, *, hide: bool) -> WorkItem:
    """The item as pages to work on get it; with `hide` without the names of models."""
    responses = [response.model_dump(mode="json", exclude={"model"} if hide else None) for response in item.responses]
    told = item.model_dump(mode="json", include={"messages", "tools", "passages"})
    return WorkItem(id=item.id, prompt=item.prompt, responses=tuple(responses), **{"messages": (), "tools": ()} | told)


def api_draft(call: Call) -> Saved:
    """Saves a draft and renews the lease."""
    sent: DraftRequest = call.body
    _same_build(call)
    return save_draft(call.database, call.project, call.who, Save(item_id=call.path("item_id"), **fields_of(sent)))


def api_renew(call: Call) -> LeaseAnswer:
    """Renews a lease: someone is looking at the page."""
    return LeaseAnswer(lease_expires_at=renew(call.database, call.project, call.who, _lease(call)))


def api_release(call: Call) -> None:
    """Gives an item back; the draft stays."""
    release(call.database, call.project, call.who, _lease(call))


def api_skip(call: Call) -> None:
    """Skips an item with a reason; it is not offered to this user again."""
    skip(call.database, call.project, call.who, _lease(call), reason=call.body.reason)


def api_submit(call: Call) -> Receipt:
    """Stores an annotation after checking it against its item."""
    _same_build(call)
    submission = Submission(item_id=call.path("item_id"), **fields_of(call.body))
    return submit(call.database, call.project, call.who, submission)


def api_my_work(call: Call) -> WorkPage:
    """The user's own submissions, newest first."""
    offset, query = call.number("offset", 0), call.query("query").strip()
    return my_work(call.database, call.project, call.who, query=query, offset=offset, limit=PAGE_SIZE)


def _lease(call: Call) -> Lease:
    sent: LeaseRequest = call.body
    return Lease(item_id=call.path("item_id"), round=sent.round, lease_token=sent.lease_token)


def fields_of(sent: Record) -> dict[str, Any]:
    """The fields of a request as they are."""
    return {name: getattr(sent, name) for name in type(sent).model_fields}


def _same_build(call: Call) -> None:
    """A page from before an upgrade must not write as if nothing had changed."""
    build = call.request.headers.get("x-spanwise-build")
    if build and build != call.site.build:
        raise RequestError(412, "This page is older than the server: reload it. What you typed is kept on this device.")


def show_work(call: Call) -> Page:
    """The page to annotate on: the next item, or the one in the address."""
    return _work_page(call, item_id=call.request.path_params.get("item_id"))


def show_reopened(call: Call) -> Page:
    """The same for a new version of an own annotation."""
    return _work_page(call, annotation_id=call.path("annotation_id"))


def _work_page(call: Call, **asked: str | None) -> Page:
    return Page("work.html", {}, page_frame(call) | {"item_id": None, "annotation_id": None} | asked)


def page_frame(call: Call) -> dict[str, Any]:
    """What every page to work on reads: what the project asks, who works, the guidelines."""
    config = call.project.config
    shown = config.model_dump(
        mode="json", exclude={"guidelines", "database", "gold_every", "training_pass", "webhooks"}
    )
    for category in shown["categories"]:
        category["label"] = category["label"] or category["name"]
    return {
        "project": shown,
        "user": {"id": call.who.id, "name": call.who.display_name},
        "guidelines": {"version": call.project.guideline_version, "blocks": blocks_of(config.guidelines)},
    }


def show_mine(call: Call) -> Page:
    """What the user has submitted, and what is left."""
    offset, query = call.number("offset", 0), call.query("query").strip()
    page = my_work(call.database, call.project, call.who, query=query, offset=offset, limit=PAGE_SIZE)
    own = own_progress(call.database, call.project, call.who)
    return Page("mine.html", {"page": page, "own": own, "query": query, "offset": offset, "size": PAGE_SIZE})


def show_guidelines(call: Call) -> Page:
    """The guidelines, in the version that is in force or in the one asked for."""
    version = call.number("version", call.project.guideline_version)
    text = guideline_text(call.database, call.project, version)
    return Page("guidelines.html", {"blocks": blocks_of(text), "version": version})


def show_settings(call: Call, **more: str) -> Page:
    """Keys, font, contrast, which are kept in the browser, and the password; `more` says how changing it went."""
    chosen = {"languages": LANGUAGES, "chosen_language": call.request.cookies.get(COOKIE, "")}
    shown = chosen | {"error": "", "changed": call.query("changed")} | more
    return Page("settings.html", shown, {"hotkeys": call.project.config.hotkeys}, status=400 if shown["error"] else 200)


_ITEM = "/api/v1/items/{item_id}"

ENDPOINTS = (
    Endpoint("GET", "/work", show_work, "annotate"),
    Endpoint("GET", "/work/{item_id}", show_work, "annotate"),
    Endpoint("GET", "/reopen/{annotation_id}", show_reopened, "annotate"),
    Endpoint("GET", "/mine", show_mine, "annotate"),
    Endpoint("GET", "/guidelines", show_guidelines, "user"),
    Endpoint("GET", "/settings", show_settings, "user"),
    Endpoint("POST", "/api/v1/claims", api_claim, "annotate", takes=ClaimRequest, gives=Work, scope="annotate"),
    Endpoint("PUT", f"{_ITEM}/draft", api_draft, "annotate", takes=DraftRequest, gives=Saved, scope="annotate"),
    Endpoint("POST", f"{_ITEM}/lease", api_renew, "annotate", takes=LeaseRequest, gives=LeaseAnswer, scope="annotate"),
    Endpoint("DELETE", f"{_ITEM}/lease", api_release, "annotate", takes=LeaseRequest, scope="annotate", status=204),
    Endpoint("POST", f"{_ITEM}/skip", api_skip, "annotate", takes=SkipRequest, scope="annotate", status=204),
    Endpoint(
        "POST", f"{_ITEM}/submissions", api_submit, "annotate", takes=SubmitRequest, gives=Receipt, scope="annotate"
    ),
    Endpoint(
        "POST",
        "/api/v1/annotations/{annotation_id}/reopen",
        api_reopen,
        "annotate",
        takes=ClaimRequest,
        gives=Work,
        scope="annotate",
    ),
    Endpoint("GET", "/api/v1/work", api_my_work, "annotate", gives=WorkPage, scope="annotate"),
)
