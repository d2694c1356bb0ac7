"""Rubric times relevance by hand, and that responses and criteria are never taken for each other."""

import pytest
import torch

from spanwise.rewards.signals import rubric_scores

ALL = torch.ones(2, 2, dtype=torch.bool)


def test_two_responses_of_two_criteria():
    """rivals.md 5.10; a reshape instead of a transpose gives zeros here."""
    relevance = torch.tensor([[[1.0, 0.0], [0.0, 1.0]], [[1.0, 0.0], [1.0, 0.0]]])
    verdicts = torch.tensor([[-1.0, 1.0], [1.0, 1.0]])
    scores = rubric_scores(relevance, verdicts, ALL)
    assert scores.tolist() == [pytest.approx([-1.0, 1.0]), pytest.approx([1.0, -1.0])]


def test_each_response_is_scored_as_if_it_were_alone():
    generator = torch.Generator().manual_seed(0)
    relevance, verdicts = torch.rand(3, 4, 5, generator=generator), torch.randn(3, 4, generator=generator)
    mask = torch.tensor([[1, 1, 1, 1, 1], [1, 1, 1, 0, 0], [0, 1, 1, 1, 1]], dtype=torch.bool)
    together = rubric_scores(relevance, verdicts, mask)
    for row in range(3):
        kept = mask[row]
        alone = rubric_scores(relevance[row : row + 1, :, kept], verdicts[row : row + 1], kept[kept][None])
        assert torch.allclose(together[row, kept], alone[0], atol=1e-5)
        assert not together[row, ~kept].any()


def test_a_criterion_that_is_about_all_tokens_says_nothing_of_where():
    scores = rubric_scores(torch.full((1, 1, 3), 0.7), torch.tensor([[-1.0]]), torch.ones(1, 3, dtype=torch.bool))
    assert scores.tolist() == [[0.0, 0.0, 0.0]]
