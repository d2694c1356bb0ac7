"""Pairs are aligned on the reward model's own tokens; what cannot be trained on is counted and left out."""

import pytest
import torch
from doubles.edit_world import edit_pairs, marked_records
from doubles.reward_world import tiny_bert, tiny_decoder

from spanwise.feedback.edits import edit_pair
from spanwise.feedback.scores import Sample
from spanwise.reward_models.config import TokenRewardConfig
from spanwise.reward_models.data.inputs import InputEncoder
from spanwise.reward_models.data.token_examples import label_examples, pair_examples, response_ids, token_batch
from spanwise.reward_models.data.token_labels import labels_of_spans
from spanwise.reward_models.heads import HeadSpec
from spanwise.text.spans import Span

HEAD = HeadSpec("token", "token", "token")


def encoder(double=tiny_decoder, max_length=256):
    _, tokenizer = double()
    return InputEncoder(tokenizer, max_length=max_length, use_passages=True, densities=["token"])


def examples(*pairs, **settings):
    return pair_examples(pairs, encoder(settings.pop("double", tiny_decoder)), TokenRewardConfig(**settings))


def words(response, text):
    return [span.of(text) for span in response.segments["token"]]


@pytest.mark.parametrize("double", [tiny_decoder, tiny_bert])
def test_each_token_of_the_response_has_its_characters_and_one_closing_token_follows(double):
    text = "  It is red ."
    (whole,) = encoder(double).encode([Sample("what ?", text)])
    assert words(whole, text) == ["It", "is", "red", ".", ""]
    assert whole.segments["token"][-1] == Span(len(text), len(text))
    assert whole.pieces["token"][-1] == (len(whole.ids) - 1, len(whole.ids) - 1)
    (cut,) = encoder(double).encode([Sample("what ?", text, truncated=True)])
    assert words(cut, text) == ["It", "is", "red", "."]


def test_a_substitution_marks_one_token_on_each_side():
    pair = edit_pair("the house was red .", "the house was blue .")
    (found,), left_out = examples(pair)
    flagged = zip(words(found.original, pair.original), found.edit.original_changed, strict=True)
    assert [word for word, changed in flagged if changed] == ["red"]
    assert found.edit.edited_changed.tolist() == found.edit.original_changed.tolist()
    assert found.edit.unchanged_pairs.tolist() == [[at, at] for at in (0, 1, 2, 4, 5)]
    assert left_out == {}


@pytest.mark.parametrize(("anchor", "expected"), [("end", [2]), ("none", [])])
def test_what_is_added_at_the_end_blames_the_closing_token(anchor, expected):
    (found,), _ = examples(edit_pair("house red", "house red blue"), gap_anchor=anchor)
    assert found.edit.original_changed.nonzero()[0].tolist() == expected
    assert found.edit.edited_changed.tolist() == [False, False, True, False]


def test_an_insertion_in_the_middle_blames_a_token_only_when_asked():
    pair = edit_pair("the house was then called red .", "the house was then blue called red .")
    for anchor, expected in (("end", []), ("all", [4])):
        (found,), _ = examples(pair, gap_anchor=anchor, merge_gap=0)
        assert found.edit.original_changed.nonzero()[0].tolist() == expected


def test_pairs_that_teach_nothing_are_counted_by_reason():
    long = "red " * 300
    found, left_out = examples(
        edit_pair("red", "red"),
        edit_pair("red", "  "),
        edit_pair("red", "RED"),
        edit_pair(long, long + "blue"),
        edit_pair("red", "blue"),
    )
    assert len(found) == 1
    assert left_out == {
        "edits/identical": 1,
        "edits/empty": 1,
        "edits/identical as tokens": 1,
        "edits/cut by the window": 1,
    }


def test_no_pairs_give_no_examples():
    assert examples() == ([], {})


def test_labels_are_those_of_the_tokens_and_the_closing_one_has_none():
    (record,) = marked_records(1)
    labelled, _ = labels_of_spans([record])
    (found,), _ = label_examples(labelled, encoder())
    wrong = [one for one, value in zip(words(found.response, record.responses[0].text), found.correct, strict=True)
             if value == 0.0]  # fmt: skip
    assert wrong == [record.responses[0].spans[0].quote]
    assert found.correct[-1] is None


def test_a_batch_points_pairs_and_labels_at_their_own_tokens():
    reader = encoder()
    pairs, _ = pair_examples(edit_pairs(3), reader, TokenRewardConfig())
    labelled, _ = labels_of_spans(marked_records(2))
    labels, _ = label_examples(labelled, reader)
    mixed = [pairs[0], labels[0], pairs[1], labels[1], pairs[2]]
    for pack_to in (0, 256):
        batch = token_batch(mixed, HEAD, pad_id=0, pack_to=pack_to)
        rows, _, first, last = batch.inputs.pieces.unbind(1)
        assert torch.equal(first, last)
        flat = batch.inputs.ids[rows, first]
        for row, pair in enumerate(pairs):
            for side, response in ((batch.original, pair.original), (batch.edited, pair.edited)):
                places = side.places[row][side.response_mask[row]]
                assert flat[places].tolist() == response_ids(response)
        assert batch.edited.changed.sum().item() == 3
        kept = batch.unchanged
        before = flat[batch.original.places[kept[:, 0], kept[:, 1]]]
        assert torch.equal(before, flat[batch.edited.places[kept[:, 0], kept[:, 2]]])
        known = [(label, at) for label in labels for at, value in enumerate(label.correct) if value is not None]
        assert flat[batch.labelled].tolist() == [response_ids(label.response)[at] for label, at in known]
        assert batch.correct.tolist() == [label.correct[at] for label, at in known]
