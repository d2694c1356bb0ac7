"""Where sentences and paragraphs start."""

import pytest

from spanwise.text.segments import paragraph_starts, sentence_starts


@pytest.mark.parametrize(
    ("text", "starts"),
    [
        ("", ()),
        (" \n\n ", ()),
        ("a\nb", (0,)),
        ("\n\na\n\n\n b\n\n", (2, 7)),
        ("a\n \t\nb", (0, 5)),
    ],
)
def test_paragraphs_start_after_blank_lines(text, starts):
    assert paragraph_starts(text) == starts


@pytest.mark.parametrize(
    ("text", "starts"),
    [
        ("", ()),
        ("  One.  Two!", (2, 8)),
        ("no full stop\n\nNew one", (0, 14)),
        ("日本語。次の文。", (0, 4)),
        ("Wide\u3000space.\u2003Next one.", (0, 12)),
    ],
)
def test_sentences_start_at_their_first_character(text, starts):
    assert sentence_starts(text) == starts


def test_long_texts_keep_every_offset():
    text = "\n\n".join("Ada met Ben. They é talked." for _ in range(800))
    starts = sentence_starts(text)
    assert len(starts) == 1600
    assert {text[start:].split()[0] for start in starts} == {"Ada", "They"}
