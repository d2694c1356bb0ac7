import re
from html import unescape
from html.parser import HTMLParser

from hypothesis import given, settings
from hypothesis import strategies as st

from spanwise.text.edit_pages import ShownEdit, edit_page
from spanwise.text.edits import align_texts

patient = settings(deadline=None)
texts = st.text(st.sampled_from("ab <&>\"'\n😀"), max_size=20)


class Sides(HTMLParser):
    """Collects the text of every side, without the wedges that mark gaps."""

    def __init__(self):
        super().__init__()
        self.sides, self.open = [], []

    def handle_starttag(self, tag, attrs):
        name = dict(attrs).get("class")
        if tag in {"div", "span", "del", "ins"}:
            self.open.append(name or tag)
            self.sides += [""] if name == "text" else []

    def handle_endtag(self, tag):
        if tag in {"div", "span", "del", "ins"}:
            self.open.pop()

    def handle_data(self, data):
        if "text" in self.open and "gap" not in self.open:
            self.sides[-1] += data


@patient
@given(texts, texts)
def test_both_texts_stand_on_the_page_as_they_are(original, edited):
    reader = Sides()
    reader.feed(edit_page("Title", [ShownEdit(align_texts(original, edited))]))
    assert reader.sides == [original, edited]


def test_changes_are_marked_in_place():
    page = edit_page("A <title>", [ShownEdit(align_texts("a b c <d>", "a c <e>"), "pair & one", "note")])
    assert re.findall(r"<del>(.*?)</del>", page) == ["b c &lt;d"]
    assert [unescape(found) for found in re.findall(r"<ins>(.*?)</ins>", page)] == ["c <e"]
    assert "<title>A &lt;title&gt;</title>" in page
    assert "<h2>pair &amp; one</h2><p>note</p>" in page
    inserted = edit_page("t", [ShownEdit(align_texts("a", "a b"))])
    assert inserted.count('class="gap" aria-label') == 1
