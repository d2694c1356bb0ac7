"""Chains of drafts: each pair of neighbours differs by one change, and the last draft is the edit."""

from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from spanwise.cli import app
from spanwise.feedback import EditPair, chain_of, edit_pair, load_or_raise, write_records
from spanwise.text import apply_edit

WORDS = st.lists(st.sampled_from(["the", "cat", "saw", "a", "dog", "ran", "red", "."]), min_size=1, max_size=14)


def test_three_changes_make_three_pairs():
    before, after = "The cat ran to a red house by the sea today .", "A cat ran to a blue house by the sea ."
    pair = edit_pair(before, after, id="7", prompt="q")
    chain = chain_of(pair)
    assert [(link.original, link.edited) for link in chain] == [
        ("The cat ran to a red house by the sea today .", "A cat ran to a red house by the sea today ."),
        ("A cat ran to a red house by the sea today .", "A cat ran to a blue house by the sea today ."),
        ("A cat ran to a blue house by the sea today .", "A cat ran to a blue house by the sea ."),
    ]
    assert [link.id for link in chain] == ["7-0", "7-1", "7-2"]
    assert sum(link.weight for link in chain) == 1.0
    assert chain[1].provenance["chain"] == {"of": "7", "step": 1, "steps": 3}
    assert {link.prompt for link in chain} == {"q"}


@given(WORDS, WORDS)
def test_any_chain_leads_from_the_original_to_the_edit(before, after):
    pair = edit_pair(" ".join(before), " ".join(after))
    chain = chain_of(pair)
    if not chain:
        assert pair.original == pair.edited
        return
    drafts = [chain[0].original, *(link.edited for link in chain)]
    assert drafts[0] == pair.original
    assert drafts[-1] == pair.edited
    assert [link.original for link in chain] == drafts[:-1]
    for link in chain:
        (span,) = link.spans
        again = EditPair.model_validate(link.model_dump())  # the spans fit the drafts
        assert apply_edit(link.original, [(span.original_span, span.edited_span.of(link.edited))]) == again.edited


def test_the_command_writes_them_and_a_weight_of_1_is_not_written(tmp_path):
    pairs = [
        edit_pair("a b c", "a x c", prompt="q"),
        edit_pair("a b c d e", "x b c d y", prompt="q"),
        edit_pair("a", "a"),
    ]
    write_records(tmp_path / "edits.jsonl", pairs)
    assert "weight" not in (tmp_path / "edits.jsonl").read_text()
    result = CliRunner().invoke(
        app, ["edits", "chain", str(tmp_path / "edits.jsonl"), "-o", str(tmp_path / "out.jsonl")]
    )
    assert result.exit_code == 0, result.output
    assert "3 pairs of 2 edits; 1 unchanged." in " ".join(result.output.split())
    assert [pair.weight for pair in load_or_raise(tmp_path / "out.jsonl", EditPair)] == [1.0, 0.5, 0.5]
