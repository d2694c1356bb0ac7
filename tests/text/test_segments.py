"""Segmenters partition any text, and cut known texts where a reader would."""

import re

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from spanwise.core.errors import ConfigError, DataError
from spanwise.text.segments import SEGMENTERS, get_segmenter

NAMES = [*SEGMENTERS, "window:1", "window:4"]

# Texts of the kinds that break splitters: line ends, wide and zero-width spaces, marks, quotes, initials.
hostile = st.text(
    st.one_of(
        st.sampled_from(
            list(" .!?,;:\n\r\t\x0b\x1c\x85\xa0\u2028\u2029\u3000\u200b\u0301\u200d\ufeff\"'“”«»()*1ABeé。।…😀")
        ),
        st.characters(exclude_categories=["Cs"]),
    ),
    max_size=80,
)


def quotes(name, text):
    return [span.of(text) for span in get_segmenter(name)(text)]


@pytest.mark.parametrize("name", NAMES)
@given(text=hostile)
@example(text="D\x85.\x0bDA\x85??")  # made the splitter panic: whitespace of several bytes beside an initial
@example(text="J\xa0.D\u2029A")
@example(text=("A b c. " * 900 + "\n\n") * 4)  # made the splitter lose blank lines: beyond 10 kB
@settings(max_examples=150, deadline=None)
def test_segments_partition_any_text(name, text):
    segments = get_segmenter(name)(text)
    assert "".join(span.of(text) for span in segments) == text
    assert [span.start for span in segments[1:]] == [span.end for span in segments[:-1]]
    assert all(len(span) for span in segments)
    # Whitespace goes to the segment before it, so that no later segment starts with any.
    assert not any(span.of(text)[0].isspace() for span in segments[1:])
    assert bool(segments) == bool(text)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("text", [" ", "\n\n", "\u2029\t"])
def test_whitespace_alone_is_one_segment(name, text):
    assert quotes(name, text) == [text]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("sequence", ["  One two. Three\nfour.\n \n\tFive!\n"]),
        ("paragraph", ["  One two. Three\nfour.\n \n\t", "Five!\n"]),
        ("sentence", ["  One two. ", "Three\nfour.\n \n\t", "Five!\n"]),
        ("window:2", ["  One two. ", "Three\nfour.\n \n\t", "Five!\n"]),
        ("window:3", ["  One two. Three\n", "four.\n \n\tFive!\n"]),
    ],
)
def test_a_small_text_in_each_unit(name, expected):
    assert quotes(name, "  One two. Three\nfour.\n \n\tFive!\n") == expected


@pytest.mark.parametrize(
    "text",
    [
        "Dr. J. R. Smith lives in the U.S. and pays $3.50 a day.",
        "The meeting (it was short. Very short.) ended well.",
        "It takes much time, i.e. a year or two.",
    ],
)
def test_abbreviations_initials_and_brackets_end_no_sentence(text):
    assert quotes("sentence", text) == [text]


def test_sub_sentences_nest_in_sentences_and_sentences_in_paragraphs():
    text = (
        "One, two, three four five six, seven eight nine ten eleven twelve. Then?\n\nEnd of it, as all know who read."
    )
    starts = {name: {span.start for span in get_segmenter(name)(text)} for name in NAMES}
    assert starts["sequence"] < starts["paragraph"] < starts["sentence"] < starts["sub-sentence"]


@given(text=hostile)
@settings(max_examples=200, deadline=None)
def test_sub_sentence_cuts_are_sentence_starts_or_follow_a_clause_mark(text):
    sentence_starts = {span.start for span in get_segmenter("sentence")(text)}
    for span in get_segmenter("sub-sentence")(text):
        assert span.start in sentence_starts or re.search(r"[,;!?]\s+$", text[: span.start])


def test_a_lone_surrogate_is_named():
    with pytest.raises(DataError, match="lone surrogate U\\+D800 at character 6"):
        get_segmenter("sentence")("Hello \ud800. World")


@pytest.mark.parametrize("name", ["", "word", "window", "window:", "window:0", "window:-1", "window:²", "Sentence"])
def test_unknown_segmenters_are_refused_with_the_list(name):
    with pytest.raises(ConfigError, match=r"sequence, paragraph, sentence, sub-sentence, window:<words> or my"):
        get_segmenter(name)
