# ruff: noqa: RUF001 - texts of other scripts are what this is about
"""What a unit of text is, in every script: graphemes are whole, words are what readers of the script would count."""

from itertools import pairwise

import pytest
import regex
from hypothesis import example, given
from hypothesis import strategies as st

from spanwise.text import align_texts, count_words, get_segmenter, graphemes, pieces, split_words, units, words
from spanwise.text.segments import SEGMENTERS

CHINESE = "我喜欢在周末吃新鲜的苹果。"
WILD = st.text(
    st.characters(codec="utf-8", exclude_characters="\r")
    | st.sampled_from(
        "我苹果。，\u0e17\u0e35\u0e48\u0e32\u0e40\u0915\u093f\u1019\u102c e\u0301\u200d👩👧🇳🇴ー가-_'3 \n"
    ),
    max_size=25,
)


@pytest.mark.parametrize(("text", "expected"), [
    ("I can't pay 3.14.", ["I", "can", "'", "t", "pay", "3", ".", "14", "."]),  # as before, so that figures stay
    ("苹果。", ["苹", "果", "。"]),
    ("コンピューターを使う", ["コンピューター", "を", "使", "う"]),
    ("ที่นี่ภาษา", ["ที่", "นี่", "ภา", "ษา"]),
    ("เป็นไทย", ["เป็", "น", "ไท", "ย"]),
    ("हिन्दी में", ["हिन्दी", "में"]),
    ("မြန်မာ", ["မြ", "န်", "မာ"]),
    ("e\u0301te\u0301 né", ["e\u0301te\u0301", "né"]),
    ("한국어 문장", ["한국어", "문장"]),
    ("👨‍👩‍👧🇳🇴🇸🇪!", ["👨‍👩‍👧", "🇳🇴", "🇸🇪", "!"]),
    ("עברית, عربي", ["עברית", ",", "عربي"]),
])  # fmt: skip
def test_units_by_hand(text, expected):
    assert [unit.of(text) for unit in units(text)] == expected


@pytest.mark.parametrize(("text", "number"), [
    ("", 0), ("one two  three", 3), ("well-known, isn't --", 3), (CHINESE, 12), ("我喜欢 iPhone 15。", 5),
    ("コンピューターを使う", 4), ("हिन्दी में किताब", 3), ("한국어 문장", 2), ("。。。", 1), ("他说。。", 2),
])  # fmt: skip
def test_words_by_hand(text, number):
    assert count_words(text) == len(split_words(text)) == number


@given(WILD)
@example(" \u0308")
@example("\u0e40")
def test_units_and_words_are_made_of_whole_graphemes(text):
    edges = {0, *(grapheme.end for grapheme in graphemes(text))}
    assert "".join(grapheme.of(text) for grapheme in graphemes(text)) == text
    assert len(graphemes(text)) == len(regex.findall(r"\X", text))
    assert all({unit.start, unit.end} <= edges for unit in units(text))
    for parts in (units(text), pieces(text), words(text)):
        assert all(left.end <= right.start for left, right in pairwise(parts))
    outside = set(range(len(text))) - {offset for unit in units(text) for offset in range(unit.start, unit.end)}
    assert all(text[offset].isspace() for offset in outside)
    if text.isascii():
        assert split_words(text) == text.split()


@given(WILD, WILD)
def test_no_edit_cuts_a_grapheme(original, edited):
    edit = align_texts(original, edited)
    for side, text in (("original", original), ("edited", edited)):
        edges = {0, *(grapheme.end for grapheme in graphemes(text))}
        assert all({getattr(part, side).start, getattr(part, side).end} <= edges for part in edit.parts)


@given(WILD)
def test_segments_partition_every_text(text):
    for segment in (*SEGMENTERS.values(), get_segmenter("window:2")):
        assert "".join(span.of(text) for span in segment(text)) == text


@pytest.mark.parametrize(("original", "edited", "before", "after"), [
    (CHINESE, CHINESE.replace("苹果", "香蕉"), "苹果", "香蕉"),
    ("ฉันชอบกินข้าวที่บ้าน", "ฉันชอบกินข้าวที่โรงเรียน", "บ้า", "โรงเรีย"),  # the last letter is the same
    ("週末にりんごを食べるのが好きです", "週末にバナナを食べるのが好きです", "りんご", "バナナ"),
    ("मुझे सेब पसंद है", "मुझे केला पसंद है", "सेब", "केला"),
])  # fmt: skip
def test_one_changed_word_marks_the_word(original, edited, before, after):
    (change,) = align_texts(original, edited).changes
    assert (change.original.of(original), change.edited.of(edited)) == (before, after)


def test_clauses_of_chinese_are_cut_where_its_commas_are():
    text = "他住在上海的一个小区里，每天都去公园散步！你呢？"
    clauses = [span.of(text) for span in get_segmenter("sub-sentence")(text)]
    assert clauses[:2] == ["他住在上海的一个小区里，", "每天都去公园散步！"]
