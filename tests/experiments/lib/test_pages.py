"""The pages that a study writes: what stands between two marks is replaced, all else is left alone."""

import pytest

from experiments.lib.pages import between


def test_only_the_marked_block_is_replaced() -> None:
    text = "# A\n<!-- results:begin -->\nold\n<!-- results:end -->\nrest <!-- other:begin -->x<!-- other:end -->\n"
    renewed = between(text, "results", "new\nlines")
    assert renewed == (
        "# A\n<!-- results:begin -->\nnew\nlines\n<!-- results:end -->\nrest <!-- other:begin -->x<!-- other:end -->\n"
    )
    assert between(renewed, "results", "old") == text


def test_a_page_without_the_marks_is_refused() -> None:
    with pytest.raises(ValueError, match="unpack"):
        between("no marks", "results", "new")
