"""An encoder-decoder policy goes the whole way of PPO: no drift before the first update, learning, a checkpoint."""

import pytest
import torch
from doubles.rl_world import WORDS, batch_of, gradients, small_trainer
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import PreTrainedTokenizerFast, T5Config, T5ForConditionalGeneration

from spanwise.models.policy import Policy


def t5_policy(seed=0):
    """A T5 of one layer and its stack of one over a dozen words, dropout in its config."""
    names = ["<pad>", "</s>", "<unk>", *WORDS]
    inner = Tokenizer(models.WordLevel({name: i for i, name in enumerate(names)}, unk_token="<unk>"))
    inner.pre_tokenizer = pre_tokenizers.Whitespace()
    inner.post_processor = processors.TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 1)])
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=inner, pad_token="<pad>", eos_token="</s>", unk_token="<unk>")
    config = T5Config(
        vocab_size=len(names),
        d_model=32,
        d_kv=8,
        d_ff=48,
        num_layers=1,
        num_heads=4,
        relative_attention_num_buckets=8,
        relative_attention_max_distance=32,
        dropout_rate=0.1,
        decoder_start_token_id=0,
        pad_token_id=0,
        eos_token_id=1,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return Policy(T5ForConditionalGeneration(config), tokenizer)


def test_before_the_first_update_the_ratio_is_1_and_the_kl_is_0(tmp_path):
    """Dropout is in the config: a policy in training mode would fail here."""
    trainer = small_trainer(tmp_path, policy=t5_policy())
    _, metrics = gradients(trainer, batch_of(trainer))
    assert metrics["policy/ratio"] == pytest.approx(1.0, abs=1e-5)
    experience = trainer.make_experience(trainer.rollout(1), kl_coef=0.1)
    assert experience.kl.abs().max() < 1e-5
    assert experience.response_mask.any(1).all()


def test_an_encoder_decoder_learns_and_its_checkpoint_answers_as_it_does(tmp_path):
    """From about one good word of 12 in the first answers to more than 8 in 15 steps of 32 responses."""
    policy = t5_policy()
    result = small_trainer(
        tmp_path,
        policy=policy,
        steps=15,
        evaluation={"every": 15, "decoding": "sample"},
        rollout={"prompts_per_step": 8, "samples_per_prompt": 4},
        sampling={"max_new_tokens": 12},
        policy_optimizer={"learning_rate": 3e-3, "decay": "constant"},
        kl={"coef": 0.0},
        update={"epochs": 4, "micro_batch_size": 32},
    ).run()
    assert result.first_reward < 4
    assert result.last_reward > 8
    loaded = Policy.load(tmp_path / "checkpoints" / "last")
    prompts = policy.encode_prompts(["good sun", "fox"])
    said, again = (p.greedy(prompts, max_new_tokens=12).token_lists() for p in (policy, loaded))
    assert said == again
