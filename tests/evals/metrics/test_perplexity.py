import math

import pytest
import torch
from doubles.models import tiny_gpt2, tiny_llama

from spanwise.evals.metrics.perplexity import likelihoods, perplexity, perplexity_scores
from spanwise.feedback.scores import Unscored
from spanwise.models.policy import Policy

PROMPTS = ["question: where? answer:", "question: who founded it? answer:", "question: a longer one, when? answer:"]
ANSWERS = ["in Oslo", "It was built in 1890, and it burned down twice.", "Ada Veld"]


@pytest.mark.parametrize("double", [tiny_llama, tiny_gpt2])
def test_nats_are_those_of_a_plain_forward_pass(double):
    model, tokenizer = double()
    policy = Policy(model, tokenizer)
    found = likelihoods(policy, PROMPTS, ANSWERS, batch_size=2)
    for prompt, answer, (nats, tokens) in zip(PROMPTS, ANSWERS, found, strict=True):
        before, own = policy.encode_prompt(prompt), policy.encode_response(answer)[:-1]
        with torch.no_grad():
            logits = model(torch.tensor([[*before, *own]])).logits[0].double()
        expected = -sum(
            logits[len(before) + place - 1].log_softmax(-1)[token].item() for place, token in enumerate(own)
        )
        assert tokens == len(own)
        assert nats == pytest.approx(expected, rel=1e-4)
        assert perplexity((nats, tokens)) == pytest.approx(math.exp(expected / len(own)), rel=1e-3)


def test_empty_and_too_long_answers_are_unscored():
    found = likelihoods(Policy(*tiny_gpt2()), PROMPTS, [" ", "word " * 300, "in Oslo"])
    assert [isinstance(one, Unscored) for one in found] == [True, True, False]


def test_tables_average_answers_and_weigh_tokens():
    tables = perplexity_scores(["a", "a", "b"], [(0.0, 1), (math.log(3) * 2, 2), Unscored("empty")])
    assert tables["perplexity"].totals[0, 0] / tables["perplexity"].counts[0, 0] == pytest.approx((1 + 3) / 2)
    assert tables["nats"].totals[0, 0] / tables["nats"].counts[0, 0] == pytest.approx(2 * math.log(3) / 3)
    assert tables["nats"].unscored == 1
