"""Questions about items: asked on the page to work on, answered by managers, read by both."""

from typing import Annotated

from pydantic import Field

from spanwise.annotate.manage import Thread, ThreadPage, ask, list_threads, reply, settle
from spanwise.annotate.web.endpoints import Call, Endpoint, Page, Redirect
from spanwise.feedback import Record

PAGE_SIZE = 50


class QuestionText(Record):
    """What is asked or answered."""

    content: Annotated[str, Field(min_length=1, max_length=4000)]


class SettleRequest(Record):
    """Whether a question is settled."""

    settled: bool


def show_questions(call: Call) -> Page:
    """All questions for those who may view the project, one's own for annotators; open ones unless all are wanted."""
    every, offset = call.query("all") == "yes", call.number("offset", 0)
    settled = None if every else False
    page = list_threads(call.database, call.project, call.who, settled=settled, offset=offset, limit=PAGE_SIZE)
    return Page("questions.html", {"page": page, "every": every, "offset": offset, "size": PAGE_SIZE})


def post_reply(call: Call) -> Redirect:
    """Answers a question from its page."""
    reply(call.database, call.project, call.path("thread_id"), call.field("content"), by=call.who)
    return Redirect("/questions")


def post_settle(call: Call) -> Redirect:
    """Settles a question, or opens it again, from its page."""
    settled = call.field("settled") == "yes"
    settle(call.database, call.project, call.path("thread_id"), settled=settled, by=call.who)
    return Redirect("/questions")


def api_questions(call: Call) -> ThreadPage:
    """Questions, the latest first: all for those who may view the project, one's own for annotators."""
    item_id, offset = call.query("item_id") or None, call.number("offset", 0)
    settled = {"open": False, "settled": True}.get(call.query("state"))
    return list_threads(call.database, call.project, call.who, item_id=item_id, settled=settled, offset=offset)


def api_ask(call: Call) -> Thread:
    """Asks about an item that the user has or had."""
    return ask(call.database, call.project, call.who, call.path("item_id"), call.body.content)


def api_reply(call: Call) -> Thread:
    """Answers a question."""
    return reply(call.database, call.project, call.path("thread_id"), call.body.content, by=call.who)


def api_settle(call: Call) -> Thread:
    """Settles a question, or opens it again."""
    return settle(call.database, call.project, call.path("thread_id"), settled=call.body.settled, by=call.who)


_THREAD = "/api/v1/questions/{thread_id}"

ENDPOINTS = (
    Endpoint("GET", "/questions", show_questions, "user"),
    Endpoint("POST", "/questions/{thread_id}/reply", post_reply, "user"),
    Endpoint("POST", "/questions/{thread_id}/settle", post_settle, "user"),
    Endpoint("GET", "/api/v1/questions", api_questions, "user", gives=ThreadPage, scope="annotate"),
    Endpoint(
        "POST", "/api/v1/items/{item_id}/questions", api_ask, "annotate", takes=QuestionText, gives=Thread,
        scope="annotate",
    ),
    Endpoint("POST", f"{_THREAD}/answers", api_reply, "user", takes=QuestionText, gives=Thread, scope="annotate"),
    Endpoint("PUT", f"{_THREAD}/state", api_settle, "user", takes=SettleRequest, gives=Thread, scope="annotate"),
)  # fmt: skip
