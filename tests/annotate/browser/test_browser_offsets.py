"""Offsets: what is dragged in Chromium is what Python reads back, whatever the script."""

import pytest
from gestures import drag, press, ready, saved

from spanwise.annotate.people.users import local_user
from spanwise.annotate.store.items import get_item
from spanwise.annotate.work.drafts import load_draft
from spanwise.feedback.schema import FeedbackRecord, Response
from spanwise.text.spans import normalize_newlines

pytestmark = pytest.mark.browser

TEXTS = {
    "joined emoji": "The \U0001f468\U0001f3fb\u200d\U0001f692 firemen drive "
    "\U0001f468\u200d\U0001f469\u200d\U0001f467 trucks home.",
    "flags": "From \U0001f1eb\U0001f1f7\U0001f1e9\U0001f1ea to \U0001f1ef\U0001f1f5 by train.",
    "combining marks": "Cafe\u0301 na\u0131\u0308ve Zu\u0308rich A\u030angstro\u0308m words.",
    "right to left": "\u0645\u0631\u062d\u0628\u0627 \u0628\u0627\u0644\u0639\u0627\u0644\u0645 "
    "shalom \u05e9\u05dc\u05d5\u05dd \u05e2\u05d5\u05dc\u05dd end.",
    "line breaks": normalize_newlines("First line.\r\nSecond line\r\n\r\nthird \U0001f600 line."),
    "rare ideographs": "\U00020000\U00020001 and \u6f22\u5b57 and \u3072\u3089\u304c\u306a here.",
    "tabs and wide spaces": "One\ttab,\u00a0one hard space,\u2003one em space.",
    "long with emoji": "\U0001f600 word " * 60 + "end.",
}


@pytest.mark.parametrize("name", TEXTS)
def test_dragged_words_are_read_back_as_quoted(serve, visit, name) -> None:
    text = TEXTS[name]
    server = serve("toxicity")
    server.add(FeedbackRecord(id=name, prompt="?", responses=(Response(text=text),)))
    page = visit(server, "/work")
    ready(page)
    user = local_user(server.database)
    item_id = page.get_attribute(".work", "data-item")
    item = get_item(server.database, server.project, item_id)
    words = item.responses[0].segments.words
    chosen = [words[0], words[len(words) // 2], words[-1]]
    for start, end in chosen:
        drag(page, start, end)
        press(page, "1")
    saved(page)
    draft = load_draft(server.database, user, item_id, item.round)
    assert draft is not None
    spans = draft.document["body"]["spans"]
    assert [(span["start"], span["end"]) for span in spans] == sorted(set(chosen))
    assert all(text[span["start"] : span["end"]] == span["quote"] for span in spans)


def test_characters_are_never_cut(serve, visit) -> None:
    text = TEXTS["joined emoji"]
    server = serve("toxicity")
    server.add(FeedbackRecord(id="x", prompt="?", responses=(Response(text=text),)))
    page = visit(server, "/work")
    ready(page)
    press(page, "Home", "ArrowRight", "Alt+ArrowRight", "Alt+ArrowRight", "Alt+Shift+ArrowRight", "1")
    start = text.index("firemen")
    drag(page, start + 1, start + 3, characters=True)
    press(page, "2")
    saved(page)
    item_id = page.get_attribute(".work", "data-item")
    item = get_item(server.database, server.project, item_id)
    draft = load_draft(server.database, local_user(server.database), item_id, item.round)
    assert draft is not None
    spans = draft.document["body"]["spans"]
    joined = set(item.responses[0].segments.joined)
    assert len(spans) == 2
    assert all(text[span["start"] : span["end"]] == span["quote"] for span in spans)
    assert not joined & {edge for span in spans for edge in (span["start"], span["end"])}
    assert spans[1]["quote"] == "ir"
