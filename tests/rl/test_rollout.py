"""Rollouts: sums are conserved, odd responses work, and sources read what people read."""

import pytest
import torch
from doubles.rl_world import PROMPTS, WORDS, ScriptedSource, pay_at_end, pay_each, pipeline_of, word_policy
from doubles.small_tokenizers import FAMILIES
from transformers import LlamaConfig, LlamaForCausalLM

from spanwise.evals.report.heatmap import lay_out
from spanwise.feedback.scores import SegmentScores, Unscored
from spanwise.models.batches import ResponseBatch
from spanwise.models.config import Sampling
from spanwise.models.policy import Policy
from spanwise.rl.rollout import RolloutMaker
from spanwise.text.alignment import Alignment, TokenAligner
from spanwise.text.spans import Span

EOS = 2


def ids_of(text):
    return [4 + WORDS.index(word) for word in text.split()]


class SaysPolicy(Policy):
    """Answers with given texts, one after the other; a text that ends with "..." has no end token."""

    def __init__(self, texts):
        double = word_policy()
        super().__init__(double.model, double.tokenizer)
        self.rows = [ids_of(t.removesuffix("...")) + ([] if t.endswith("...") else [EOS]) for t in texts]
        self.truncated = torch.tensor([t.endswith("...") for t in texts])

    def generate(self, prompts, *, sampling, samples_per_prompt=1, generator):
        width = max(map(len, self.rows))
        ids = torch.tensor([row + [0] * (width - len(row)) for row in self.rows])
        mask = torch.tensor([[True] * len(row) + [False] * (width - len(row)) for row in self.rows])
        return ResponseBatch(ids, mask, torch.where(mask, -1.0, 0.0), self.truncated)


def rollout_of(texts, *sources, missing="raise"):
    policy = SaysPolicy(texts)
    maker = RolloutMaker(policy, pipeline_of(*sources, weight=0.5, missing=missing), max_prompt_tokens=32)
    generator = torch.Generator().manual_seed(0)
    return maker.sample(PROMPTS[:1], sampling=Sampling(), samples_per_prompt=len(texts), generator=generator)


def test_each_reward_sits_on_its_token_and_the_whole_texts_on_the_end():
    rollout = rollout_of(
        ["bad good", "good sun good"], ScriptedSource(pay_each), ScriptedSource(pay_at_end, "whole", density="sequence")
    )
    assert rollout.scores.shares["script"].tolist() == [[0, 0.5, 0, 0], [0.5, 0, 0.5, 0]]
    assert rollout.scores.shares["whole"].tolist() == [[0, 0, 0.5, 0], [0, 0, 0, 1.0]]
    assert rollout.scores.total.tolist() == [[0, 0.5, 0.5, 0], [0.5, 0, 0.5, 1.0]]
    assert rollout.tokens[0] == ["bad", " good", "</s>"]


def test_sum_of_token_scores_is_the_weighted_sum_of_segment_scores():
    policy = word_policy()
    sources = [ScriptedSource(pay_each), ScriptedSource(pay_at_end, "whole", density="sequence")]
    maker = RolloutMaker(policy, pipeline_of(*sources, weight=0.3), max_prompt_tokens=32)
    rollout = maker.sample(
        PROMPTS, sampling=Sampling(max_new_tokens=9), samples_per_prompt=3, generator=torch.Generator().manual_seed(3)
    )
    expected = [0.3 * 2 * sample.response.split().count("good") for sample in rollout.samples]
    assert sum(expected) > 0
    torch.testing.assert_close(rollout.scores.total.sum(1), torch.tensor(expected))
    assert [sample.prompt for sample in rollout.samples] == [record.prompt for record in PROMPTS for _ in range(3)]


def test_empty_and_truncated_responses_work_and_are_told_apart():
    rollout = rollout_of(["", "good good..."], ScriptedSource(pay_each))
    assert [sample.response for sample in rollout.samples] == ["", "good good"]
    assert [sample.truncated for sample in rollout.samples] == [False, True]
    assert rollout.scores.total.sum(1).tolist() == [0.0, 1.0]


def test_an_unscored_response_is_marked_and_earns_nothing():
    def picky(text):
        return pay_each(text) if "bad" not in text else SegmentScores(missing=Unscored("it says bad"))

    rollout = rollout_of(["bad good", "good"], ScriptedSource(picky), missing="mask")
    assert rollout.scores.dropped.tolist() == [True, False]
    assert rollout.scores.total.sum(1).tolist() == [0.0, 0.5]


def test_space_around_a_response_is_taken_away_and_tokens_follow(tiny_llama):
    tokenizer = tiny_llama[1]
    ids = tokenizer("  Ada was born. ", add_special_tokens=False).input_ids
    bare = TokenAligner(tokenizer).align(ids).stripped()
    assert bare.text == "Ada was born."
    assert "".join(span.of(bare.text) for span in bare.spans) == bare.text


@pytest.mark.parametrize("family", FAMILIES)
def test_no_token_is_shown_by_the_sign_that_its_tokenizer_writes_for_a_blank(family):
    tokenizer = FAMILIES[family]()
    blanks = [id_ for word, id_ in tokenizer.get_vocab().items() if word in ("\u2581", "\u0120", "\u010a")]
    ids = [*blanks, *tokenizer(" Ada was born.", add_special_tokens=False).input_ids, *blanks, tokenizer.eos_token_id]
    size = len(tokenizer)
    model = LlamaForCausalLM(LlamaConfig(vocab_size=size, hidden_size=8, intermediate_size=8, num_attention_heads=1))
    maker = RolloutMaker(Policy(model, tokenizer), pipeline_of(ScriptedSource(pay_each)), max_prompt_tokens=32)
    row = torch.tensor([ids])
    maker.policy.generate = lambda *_, **__: ResponseBatch(row, row >= 0, torch.zeros(row.shape), torch.tensor([False]))
    rollout = maker.sample(PROMPTS[:1], sampling=Sampling(), samples_per_prompt=1, generator=torch.Generator())
    texts, response = rollout.tokens[0], rollout.samples[0].response
    assert texts[-1] == "</s>"
    assert "".join(texts[:-1]) == response
    shown = [p.text for s in lay_out(response, texts) for p in s.pieces]
    assert "".join(shown) == response + "</s>"


def test_a_blank_response_becomes_empty():
    assert Alignment("  ", (Span(0, 1), Span(1, 2))).stripped() == Alignment("", (Span(0, 0), Span(0, 0)))
