"""Texts as they are meant: Markdown, code and tables with exact offsets, conversations; answers and grades by hand."""

import dataclasses

import pytest
from browser_server import FAIR
from gestures import becomes, drag, eventually, press, ready, saved, until

from spanwise.annotate.store.annotations import annotations_of
from spanwise.annotate.store.project import QuestionConfig
from spanwise.feedback.messages import Message
from spanwise.feedback.schema import FeedbackRecord, Response

pytestmark = pytest.mark.browser
TEXT = """# Title 😀

Some **strong words** and *mild* ones, `code *here*` and [a link](http://x.test).

| a | b |
|---|---|
| 1 | *two* |

```python
x = "**not strong**"
```
> said
- item
"""


def marked_up(server) -> str:
    return server.add(FeedbackRecord(id="md", prompt="Use *Markdown*.", responses=(Response(text=TEXT),)))[0]


def test_markdown_is_seen_and_every_offset_is_that_of_the_source(serve, visit) -> None:
    server = serve("toxicity")
    item_id = marked_up(server)
    page = visit(server, "/work")
    ready(page)
    shown = page.eval_on_selector_all("#response .para", "all => all.map(one => one.textContent).join('')")
    assert shown == TEXT  # not one character is missing or added
    look = page.evaluate(
        """words => words.map(word => { const pane = document.getElementById("response").pane;
             const at = [...pane.offsets.text.slice(0, pane.offsets.text.indexOf(word))].length;
             const node = pane.range(at, at + word.length).startContainer.parentElement;
             const style = getComputedStyle(node);
             return [Number(style.fontWeight) >= 600, style.fontStyle, style.fontFamily.includes("mono")]; })""",
        ["Title", "strong words", "mild", "code *here*", "| 1 |", "x = ", "two", "**not"],
    )
    plain = "normal"
    assert look == [
        [True, plain, False], [True, plain, False], [False, "italic", False], [False, plain, True],
        [False, plain, True], [False, plain, True], [False, "italic", True], [False, plain, True],
    ]  # fmt: skip
    for words in ("strong words", "two", "not strong"):
        start = TEXT.index(words)
        drag(page, start, start + len(words))
        page.click('[data-category="insult"]')
    saved(page)
    for index in range(3):
        page.locator(".span select").nth(index).select_option("mild")
    press(page, "Control+Enter")
    eventually(lambda: annotations_of(server.database, server.project, item_id))
    (said,) = annotations_of(server.database, server.project, item_id)
    for span in said.body.spans:
        assert TEXT[span.start : span.end] == span.quote
    assert [span.quote.strip('*"') for span in said.body.spans] == ["strong words", "two", "not strong"]


def test_source_and_one_width_are_a_switch(serve, visit) -> None:
    server = serve("toxicity")
    marked_up(server)
    page = visit(server, "/settings")
    page.check("[name=source]")
    page.check("[name=mono]")
    page.goto(server.url + "/work")
    ready(page)
    weight, family = page.evaluate(
        """() => { const style = getComputedStyle(document.querySelector("#response .md-strong"));
             return [style.fontWeight, style.fontFamily]; }"""
    )
    assert weight == "400"
    assert "mono" in family


def test_a_conversation_is_read_turn_by_turn_with_its_calls(serve, visit) -> None:
    server = serve("toxicity")
    call = {"function": {"name": "weather", "arguments": '{"place": "<b>Oslo</b>"}'}}
    turns = (
        Message(role="system", content="Be brief."),
        Message(role="user", content="How is it in **Oslo**?"),
        Message.model_validate({"role": "assistant", "tool_calls": [call]}),
        Message(role="tool", content="4 degrees"),
    )
    said = {"id": "chat", "messages": [turn.model_dump() for turn in turns], "responses": [{"text": "Cold."}]}
    server.add(FeedbackRecord.model_validate(said))
    page = visit(server, "/work")
    ready(page)
    assert page.locator(".turn .role").all_inner_texts() == ["system", "user", "assistant", "tool"]
    assert "weather" in page.inner_text(".turn .call")
    assert '{"place": "<b>Oslo</b>"}' in page.inner_text(".turn .call")


def test_a_grade_is_given_by_key(serve, visit) -> None:
    server = serve("toxicity")
    server.add(FAIR)
    page = visit(server, "/work")
    ready(page)
    press(page, "1", "v")
    grade = page.locator(".span select")
    becomes(grade.input_value, "mild")
    press(page, "v")
    becomes(grade.input_value, "severe")
    press(page, "v", "Control+z")
    becomes(grade.input_value, "severe")


def test_the_projects_questions_are_asked_and_their_answers_stored(serve, visit) -> None:
    server = serve("toxicity")
    questions = (
        QuestionConfig(key="lang", text="Which language?", kind="choice", options=("German", "Chinese")),
        QuestionConfig(key="fluent", text="How fluent?", kind="scale", ends=("broken", "native")),
        QuestionConfig(key="more", text="Anything else?", required=False),
    )
    config = server.project.config.model_copy(update={"questions": questions})
    object.__setattr__(server.site, "project", dataclasses.replace(server.project, config=config))
    (item_id,) = server.add(FAIR.model_copy(update={"responses": FAIR.responses[:1]}))
    page = visit(server, "/work")
    ready(page)
    press(page, "0")
    page.click("text=Chinese")
    press(page, "Control+Enter")
    page.wait_for_selector("[data-problems]:has-text('How fluent?')")
    page.locator(".question.scale input").nth(3).check()
    page.fill(".question.text textarea", "a remark")
    saved(page)
    page.reload()
    ready(page)
    until(page, "document.querySelectorAll('.question input:checked').length === 2")
    press(page, "Control+Enter")
    eventually(lambda: annotations_of(server.database, server.project, item_id))
    (said,) = annotations_of(server.database, server.project, item_id)
    assert {one.key: one.value for one in said.body.answers} == {"lang": "Chinese", "fluent": "4", "more": "a remark"}
