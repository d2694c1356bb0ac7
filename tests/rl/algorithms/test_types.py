"""Selecting rows keeps every row's content and drops only padding."""

import torch
from doubles.rl_world import small_trainer

from spanwise.models.batches import PromptBatch
from spanwise.rl.algorithms.types import ModelInputs, TrainingBatch


def inputs_of(lengths, prompt_lengths, columns):
    mask = torch.tensor([[t < n for t in range(columns)] for n in lengths])
    width = max(prompt_lengths)
    prompt_mask = torch.tensor([[t >= width - n for t in range(width)] for n in prompt_lengths])
    ids = torch.arange(len(lengths) * columns).reshape(len(lengths), columns)
    return ModelInputs(PromptBatch(prompt_mask.long(), prompt_mask), ids, mask)


def test_parts_hold_every_row_once_and_put_like_lengths_together():
    parts = inputs_of([3, 1, 5, 1, 4], [2, 2, 2, 2, 2], 5).parts(2)
    assert [part.tolist() for part in parts] == [[1, 3], [0, 4], [2]]


def test_width_is_that_of_the_longest_response():
    inputs = inputs_of([3, 1], [2, 4], 6)
    assert inputs.width() == 3
    assert inputs.select(torch.tensor([1])).width() == 1
    assert inputs.select(torch.tensor([0])).prompts.ids.shape == (1, 2)
    assert inputs_of([0, 0], [1, 1], 3).width() == 0


def test_selecting_from_a_training_batch_keeps_the_rows_and_drops_their_padding():
    inputs = inputs_of([3, 1, 2], [2, 4, 1], 6)
    columns = [torch.full((3, 6), float(i)) + torch.arange(3)[:, None] * 10 for i in range(4)]
    part = TrainingBatch(inputs, *columns).select(torch.tensor([2, 1]))
    assert len(part) == 2
    assert part.tokens == 3
    assert part.inputs.response_ids.tolist() == [[12, 13], [6, 7]]
    assert part.response_mask.tolist() == [[True, True], [True, False]]
    for i, tensor in enumerate((part.old_logprobs, part.old_values, part.advantages, part.returns)):
        assert tensor.tolist() == [[20.0 + i] * 2, [10.0 + i] * 2]


def test_support_is_cut_with_its_response(tmp_path):
    trainer = small_trainer(tmp_path, sampling={"top_k": 4, "max_new_tokens": 6})
    rollout = trainer.rollout(1)
    inputs = ModelInputs.of(rollout.prompts, rollout.responses)
    part = inputs.select(torch.tensor([1])).shorten(2)
    assert torch.equal(part.support, rollout.responses.support[1:2, :2])
