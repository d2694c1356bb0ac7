import torch

from spanwise.models import PromptBatch, ResponseBatch
from spanwise.models.batches import pad


def test_pad_puts_the_padding_on_the_side_that_was_asked_for():
    left_ids, left_mask = pad([[5, 6], [7]], value=9, side="left")
    right_ids, right_mask = pad([[5, 6], [7]], value=9, side="right")
    assert left_ids.tolist() == [[5, 6], [9, 7]]
    assert left_mask.tolist() == [[True, True], [False, True]]
    assert right_ids.tolist() == [[5, 6], [7, 9]]
    assert right_mask.tolist() == [[True, True], [True, False]]


def test_pad_of_empty_rows_has_no_columns():
    ids, mask = pad([[], []], value=0, side="right")
    assert ids.shape == mask.shape == (2, 0)


def test_selecting_rows_drops_the_columns_that_only_the_others_needed():
    batch = PromptBatch(*pad([[1, 2, 3], [4], [5, 6]], value=0, side="left"))
    chosen = batch.select(torch.tensor([2, 1]))
    assert chosen.ids.tolist() == [[5, 6], [0, 4]]
    assert chosen.mask.tolist() == [[True, True], [False, True]]
    assert chosen.lengths.tolist() == [2, 1]


def test_repeat_keeps_the_samples_of_a_prompt_together():
    batch = PromptBatch(*pad([[1], [2]], value=0, side="left")).repeat(2)
    assert batch.ids.tolist() == [[1], [1], [2], [2]]


def test_token_lists_leave_padding_out_even_where_it_equals_a_real_id():
    ids, mask = pad([[3, 0], [0, 0, 0]], value=0, side="right")
    responses = ResponseBatch(ids, mask, torch.zeros(2, 3), torch.tensor([False, False]))
    assert responses.token_lists() == [[3, 0], [0, 0, 0]]
