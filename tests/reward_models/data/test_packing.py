"""Packed rows say the same as separate ones: masks and positions by brute force, logits by comparison."""

import sys

import pytest
import torch
from doubles.models import tiny_gpt2, tiny_llama
from doubles.reward_world import records, tiny_bert

from spanwise.feedback.scores import Sample
from spanwise.reward_models.data.inputs import InputEncoder
from spanwise.reward_models.data.packing import branch_mask, branch_positions, collate, reading_order
from spanwise.reward_models.heads import HeadSpec
from spanwise.reward_models.network.model import build_reward_model

HEADS = (
    HeadSpec("relevance", "sub-sentence", "segment"),
    HeadSpec("factuality", "sentence", "segment"),
    HeadSpec("preference", "sequence", "sequence"),
)
BRANCHES = torch.tensor([[0, 0, 1, 1, 2, 3, 3, 3], [0, 0, 0, 0, 1, 2, 0, 0], [0, 0, 0, 0, 0, 0, 0, 0]])
MASK = torch.tensor([[True] * 8, [True] * 6 + [False] * 2, [True] * 8])


def test_a_token_sees_what_came_before_in_common_or_in_its_branch():
    found = branch_mask(MASK, BRANCHES)
    for row in range(3):
        for i in range(8):
            for j in range(8):
                related = BRANCHES[row, j] == 0 or BRANCHES[row, j] == BRANCHES[row, i]
                expected = (j <= i and bool(MASK[row, j]) and bool(related)) or i == j
                assert found[row, i, j].item() == expected


def test_positions_count_on_from_the_common_beginning_in_each_branch():
    found = branch_positions(BRANCHES)
    assert found[0].tolist() == [0, 1, 2, 3, 2, 2, 3, 4]
    assert found[1, :6].tolist() == [0, 1, 2, 3, 4, 4]
    assert found[2].tolist() == list(range(8))


def encoded(tokenizer, window):
    encoder = InputEncoder(tokenizer, max_length=window, use_passages=True, densities=[head.density for head in HEADS])
    samples = [
        Sample(record.prompt, response.text, record.passages)
        for record in records(3, "packing")
        for response in record.responses
    ]
    return encoder.encode([*samples, Sample("something else altogether ?", "")])


@pytest.mark.parametrize("in_branches", [True, False])
@pytest.mark.parametrize(("double", "pooling"), [(tiny_llama, "last"), (tiny_gpt2, "last"), (tiny_llama, "mean")])
def test_responses_that_share_a_row_score_as_they_do_alone(double, pooling, in_branches):
    body, tokenizer = double()
    model = build_reward_model(
        body, HEADS, pooling=pooling, window=1000, generator=torch.Generator().manual_seed(0)
    ).eval()
    assert model.packs
    assert model.pack_to == sys.maxsize
    model._in_branches = in_branches
    responses = encoded(tokenizer, 1000)
    packed = collate(responses, HEADS, pad_id=0, pack_to=250)
    alone = collate(responses, HEADS, pad_id=0)
    assert packed.ids.shape[0] < alone.ids.shape[0] == len(responses)
    assert packed.ids.numel() < 0.75 * alone.ids.numel()
    torch.testing.assert_close(model.score(packed), model.score(alone), rtol=1e-4, atol=1e-5)


def test_rows_are_as_long_as_the_window_while_attention_may_drop_out():
    body, _ = tiny_gpt2()
    model = build_reward_model(body, HEADS, window=256, generator=torch.Generator()).train()
    assert model.packs
    assert model.pack_to == 256


def test_no_row_grows_beyond_the_limit_unless_a_response_does_alone():
    _, tokenizer = tiny_llama()
    responses = encoded(tokenizer, 1000)
    longest = max(len(item.ids) for item in responses)
    assert collate(responses, HEADS, pad_id=0, pack_to=longest + 30).ids.shape[1] <= longest + 30
    assert collate(responses, HEADS, pad_id=0, pack_to=10).branches is None


def test_an_encoder_does_not_pack():
    body, _ = tiny_bert()
    model = build_reward_model(body, HEADS, window=256, generator=torch.Generator())
    assert not model.packs


@pytest.mark.parametrize("pack_to", [0, 250])
@pytest.mark.parametrize("batch_size", [1, 3, 32])
def test_responses_are_read_once_short_rows_first_and_prompts_together(pack_to, batch_size):
    responses = encoded(tiny_llama()[1], 1000)
    order = list(reading_order(responses, batch_size=batch_size, pack_to=pack_to))
    assert sorted(position for batch in order for position in batch) == list(range(len(responses)))
    assert max(map(len, order)) <= batch_size
    batches = [[responses[position] for position in batch] for batch in order]
    sizes = [collate(batch, HEADS, pad_id=0, pack_to=pack_to).ids.shape for batch in batches]
    if batch_size == 1:
        assert [width for _, width in sizes] == sorted(len(response.ids) for response in responses) or pack_to
    whole = collate(responses, HEADS, pad_id=0, pack_to=pack_to).ids.numel()
    assert sum(rows * width for rows, width in sizes) <= whole or (pack_to and batch_size < 3)
