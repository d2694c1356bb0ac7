"""Checkpoints as users have them: without a tokenizer, not downloaded, of another build; recurrent ones draw right."""

import pytest
import torch
from doubles import models as doubles
from transformers import (
    JambaConfig,
    JambaForCausalLM,
    Mamba2Config,
    Mamba2ForCausalLM,
    MambaConfig,
    MambaForCausalLM,
    RwkvConfig,
    RwkvForCausalLM,
    T5Config,
    T5EncoderModel,
)

from spanwise.core import CheckpointError, torch_generator
from spanwise.models import Policy, Sampling
from spanwise.reward_models.network import load_backbone

POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 829105\n"


@pytest.fixture(name="gpt2")
def saved_gpt2(tmp_path, tiny_gpt2):
    Policy(*tiny_gpt2).save(tmp_path / "gpt2")
    return tmp_path / "gpt2"


def without_tokenizer(folder):
    for file in folder.iterdir():
        if "token" in file.name or "vocab" in file.name or "merges" in file.name:
            file.unlink()


@pytest.mark.parametrize("load", [Policy.load, load_backbone])
def test_a_checkpoint_without_a_tokenizer_is_one_sentence(gpt2, load):
    without_tokenizer(gpt2)
    with pytest.raises(CheckpointError, match="holds no tokenizer; save the one that the model was trained with"):
        load(str(gpt2))


@pytest.mark.parametrize("load", [Policy.load, load_backbone])
@pytest.mark.parametrize("content", ["{", "[]", '{"model": 3}', ""])
def test_a_damaged_tokenizer_is_one_sentence(gpt2, load, content):
    (gpt2 / "tokenizer.json").write_text(content)
    with pytest.raises(CheckpointError, match="tokenizer") as caught:
        load(str(gpt2))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("load", [Policy.load, load_backbone])
@pytest.mark.parametrize("name", ["model.safetensors", "tokenizer.json", "config.json"])
def test_weights_that_were_not_downloaded_are_named(gpt2, load, name):
    (gpt2 / name).write_text(POINTER)
    with pytest.raises(CheckpointError, match=rf"{name}: is a Git LFS pointer.*git lfs pull"):
        load(str(gpt2))


def test_an_encoder_that_wants_a_decoder_is_refused_as_a_backbone(tmp_path, tiny_t5):
    model, tokenizer = tiny_t5
    config = T5Config.from_dict({**model.config.to_dict(), "is_encoder_decoder": False})
    T5EncoderModel(config).save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    with pytest.raises(CheckpointError, match=r"t5 model that cannot be read token by token .*; give an encoder"):
        load_backbone(str(tmp_path))


def recurrent(kind):
    """A tiny model whose layers keep states, and the tokenizer of the small GPT-2."""
    tokenizer = doubles.tiny_gpt2()[1]
    size = len(tokenizer)
    ends = {"bos_token_id": tokenizer.bos_token_id, "eos_token_id": tokenizer.eos_token_id, "pad_token_id": 0}
    torch.manual_seed(0)
    if kind == "mamba":
        config = MambaConfig(vocab_size=size, hidden_size=32, num_hidden_layers=2, state_size=8, **ends)
        model = MambaForCausalLM(config)
    elif kind == "mamba2":
        config = Mamba2Config(
            vocab_size=size,
            hidden_size=32,
            num_hidden_layers=2,
            state_size=8,
            num_heads=8,
            head_dim=8,
            n_groups=1,
            **ends,
        )
        model = Mamba2ForCausalLM(config)
    else:
        config = JambaConfig(
            vocab_size=size, hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4,
            num_key_value_heads=2, num_experts=1, attn_layer_period=2, attn_layer_offset=1, mamba_d_state=8,
            use_mamba_kernels=False, **ends,
        )  # fmt: skip
        model = JambaForCausalLM(config)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() > 1:
                parameter.mul_(3)
    return Policy(model.eval(), tokenizer)


@pytest.mark.parametrize("kind", ["mamba", "mamba2", "jamba"])
@pytest.mark.parametrize("samples", [1, 3])
def test_models_with_states_draw_what_they_compute(kind, samples):
    """What was drawn token by token has the log-probability that transformers gives the whole text."""
    policy = recurrent(kind)
    prompts = policy.encode_prompts(["where was Ada Veld born?", "who founded the Harbour Society in 1890? answer:"])
    sampling = Sampling(max_new_tokens=9, top_k=0)
    drawn = policy.generate(
        prompts, sampling=sampling, samples_per_prompt=samples, generator=torch_generator(0, "rollout", policy.device)
    )
    assert len(drawn.ids) == 2 * samples
    repeated = prompts.repeat(samples)
    again = policy.logprobs(repeated, drawn.ids, drawn.mask, sampling=sampling, support=drawn.support).logprobs
    for row in range(len(drawn.ids)):
        length = int(drawn.mask[row].sum())
        prompt = repeated.ids[row][repeated.mask[row]]
        whole = torch.cat([prompt, drawn.ids[row][:length]])
        with torch.no_grad():
            logits = policy.model(whole[None]).logits[0, len(prompt) - 1 : -1, : len(policy.tokenizer)]
        expected = logits.log_softmax(-1).gather(1, drawn.ids[row][:length, None])[:, 0]
        torch.testing.assert_close(drawn.logprobs[row][:length], expected, atol=1e-4, rtol=1e-4)
        torch.testing.assert_close(again[row][:length], expected, atol=1e-4, rtol=1e-4)


def test_a_model_that_would_forget_what_it_has_read_is_refused():
    tokenizer = doubles.tiny_gpt2()[1]
    config = RwkvConfig(vocab_size=len(tokenizer), hidden_size=32, num_hidden_layers=2, attention_hidden_size=32)
    with pytest.raises(CheckpointError, match="rwkv model keeps what it has read in a way of its own"):
        Policy(RwkvForCausalLM(config).eval(), tokenizer)
