"""A reward of one token of the judge pays the slot of exactly that token of the policy, for every tokenizer family."""

from itertools import pairwise

import pytest
import torch
from doubles.small_tokenizers import FAMILIES
from hypothesis import given, settings
from hypothesis import strategies as st

from spanwise.feedback.scores import Sample, SegmentScore, SegmentScores
from spanwise.rewards.config import MixtureConfig
from spanwise.rewards.pipeline import RewardPipeline
from spanwise.text.alignment import TokenAligner
from spanwise.text.spans import Span

TEXT = "Ada Veld was born in Oslo.\n\nIt isn't said when."


class OneToken:
    """Scores 1 at one of the given spans and 0 at the others."""

    name = category = "token"
    density = "token"
    version = "1"

    def __init__(self, spans, place):
        self.spans, self.place = spans, place

    def score(self, samples):
        scores = tuple(SegmentScore(span, float(at == self.place)) for at, span in enumerate(self.spans))
        return [SegmentScores(scores) for _ in samples]


def paid(judge_spans, place, text, policy_spans, placement="end"):
    config = MixtureConfig.model_validate({"sources": {"token": {}}})
    pipeline = RewardPipeline([OneToken(judge_spans, place)], config, placement)
    return pipeline([Sample("q", text)], [policy_spans]).total[0]


@pytest.mark.parametrize("placement", ["end", "spread", "every"])
@pytest.mark.parametrize("family", ["gpt2", "llama", "gemma", "t5"])
def test_a_reward_of_one_at_one_token_pays_exactly_its_slot(family, placement):
    tokenizer = FAMILIES[family]()
    ids = [*tokenizer(TEXT, add_special_tokens=False)["input_ids"], tokenizer.eos_token_id]
    aligned = TokenAligner(tokenizer).align(ids)
    spans = list(aligned.spans)
    checked = 0
    for place, span in enumerate(spans):
        closing = place == len(spans) - 1
        if not closing and (not len(span) or spans.count(span) > 1):
            continue  # a token that wrote nothing, or one of several that wrote one character together
        expected = torch.zeros(len(spans))
        expected[place] = 1.0
        torch.testing.assert_close(paid(spans, place, aligned.text, aligned.spans, placement), expected)
        checked += 1
    assert checked > 10


def test_a_blank_token_is_paid_itself_and_the_closing_one_too():
    text, spans = "a\n\nb", (Span(0, 1), Span(1, 3), Span(3, 4), Span(4, 4))
    for place in range(4):
        assert paid(spans, place, text, spans).tolist() == [float(at == place) for at in range(4)]


def test_one_token_of_the_judge_may_be_several_of_the_policy():
    text, policy = "abcd", (Span(0, 1), Span(1, 4), Span(4, 4))
    judge = (Span(0, 4), Span(4, 4))
    assert paid(judge, 0, text, policy, "end").tolist() == [0.0, 1.0, 0.0]
    assert paid(judge, 0, text, policy, "spread").tolist() == [0.25, 0.75, 0.0]
    assert paid(judge, 0, text, policy, "every").tolist() == [0.5, 0.5, 0.0]


@settings(deadline=None)
@given(
    judge=st.sets(st.integers(1, 9), max_size=6),
    policy=st.sets(st.integers(1, 9), max_size=6),
    placement=st.sampled_from(["end", "spread", "every"]),
    data=st.data(),
)
def test_whatever_the_two_tokenisations_the_sum_is_paid_in_full(judge, policy, placement, data):
    text = "ab  cd\ne f"

    def spans(cuts):
        edges = [0, *sorted(cuts), len(text)]
        return [*(Span(left, right) for left, right in pairwise(edges)), Span(len(text), len(text))]

    place = data.draw(st.integers(0, len(judge) + 1))
    total = paid(spans(judge), place, text, spans(policy), placement)
    assert total.sum().item() == pytest.approx(1.0)
