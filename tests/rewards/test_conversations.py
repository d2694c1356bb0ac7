"""Token rewards inside conversations land on what the assistant wrote, tool turns or not."""

import pytest
import torch
from doubles.chat_models import chat_policy, templated
from doubles.rl_world import ScriptedSource, pay_each, pipeline_of, words_of

from spanwise.core.errors import DataError
from spanwise.feedback.prompts import PromptRecord
from spanwise.models.config import Sampling
from spanwise.rewards.conversations import conversation_rewards
from spanwise.rl.rollout import RolloutMaker

WITH_TOOL = [
    {"role": "system", "content": "Say good things."},
    {"role": "user", "content": "Is Ada good?"},
    {"role": "assistant", "content": "Let me look, my good friend."},
    {"role": "user", "content": "good good good"},
    {
        "role": "assistant",
        "content": "",
        "tool_calls": [{"type": "function", "function": {"name": "find", "arguments": {"who": "good Ada"}}}],
    },
    {"role": "tool", "content": "Ada is good and good."},
]
GENERATION = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{% if m.role == 'assistant' %}{% generation %}{{ m.content }}"
    "<|im_end|>{% endgeneration %}{% else %}{{ m.content }}<|im_end|>{% endif %}{{ '\n' }}{% endfor %}"
)


def paid(text):
    """1 for each word "good", at that word."""
    return pay_each(text)


def test_only_the_assistants_tokens_are_paid_and_the_sum_is_what_its_turns_earn():
    policy = chat_policy("qwen")
    answer = "Yes, Ada is good ."
    found = conversation_rewards(policy, pipeline_of(ScriptedSource(paid)), PromptRecord(messages=WITH_TOOL), answer)
    whole = [*WITH_TOOL, {"role": "assistant", "content": answer}]
    ids = templated(policy.tokenizer, whole, add_generation_prompt=False)
    assert found.ids.tolist() == ids[: len(found.ids)]
    assert policy.tokenizer.decode(ids[len(found.ids) :]) == "\n"
    assert found.rewards[~found.mask].abs().sum() == 0
    assert float(found.rewards.sum()) == 2.0, "one in each turn that says something; four others say it in vain"
    for token in found.rewards.nonzero()[:, 0].tolist():
        assert "good" in policy.tokenizer.decode(found.ids[max(0, token - 4) : token + 1])


def test_the_mask_is_what_transformers_calls_the_assistants_tokens():
    policy = chat_policy("qwen")
    turns = [*WITH_TOOL[1:3], {"role": "user", "content": "And now?"}]
    found = conversation_rewards(policy, pipeline_of(ScriptedSource(paid)), PromptRecord(messages=turns), "good")
    whole = [*turns, {"role": "assistant", "content": "good"}]
    theirs = policy.tokenizer.apply_chat_template(
        whole, chat_template=GENERATION, return_dict=True, return_assistant_tokens_mask=True
    )
    assert found.ids.tolist() == theirs["input_ids"][: len(found.ids)]
    assert found.mask.int().tolist() == theirs["assistant_masks"][: len(found.ids)]


def test_a_template_that_rewrites_earlier_turns_is_refused():
    policy = chat_policy("qwen")
    turns = [
        {"role": "user", "content": "Is Ada good?"},
        {"role": "assistant", "content": "<think>hm</think>Yes."},
        {"role": "user", "content": "Sure?"},
    ]
    with pytest.raises(DataError, match=r"writes the turn '<think>hm</think>Yes.' otherwise when turns follow it"):
        conversation_rewards(policy, pipeline_of(ScriptedSource(paid)), PromptRecord(messages=turns), "Yes.")


def test_a_rollout_behind_tool_turns_pays_the_sampled_tokens_alone():
    policy = chat_policy("qwen")
    source = ScriptedSource(lambda text: pay_each(text, word=words_of(text)[0].of(text)) if text else pay_each(text))
    maker = RolloutMaker(policy, pipeline_of(source, missing="mask"), max_prompt_tokens=900)
    record = PromptRecord(messages=WITH_TOOL)
    rollout = maker.sample(
        [record], sampling=Sampling(max_new_tokens=8), samples_per_prompt=3, generator=torch.Generator().manual_seed(1)
    )
    assert rollout.prompts.ids[0][rollout.prompts.mask[0]].tolist() == templated(policy.tokenizer, WITH_TOOL)
    assert rollout.scores.total.shape == rollout.responses.ids.shape, "a reward for each sampled token and for no other"
    for sample, row, mask in zip(rollout.samples, rollout.scores.total, rollout.responses.mask, strict=True):
        earned = sum(score.value for score in source.script(sample.response).scores)
        assert float(row.sum()) == pytest.approx(float(earned))
        assert row[~mask].abs().sum() == 0
        assert sample.messages == record.messages
