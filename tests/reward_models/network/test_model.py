"""The model pools the right states, batches change nothing, and a checkpoint gives back the same numbers."""

import pytest
import torch
from doubles.models import tiny_llama, tiny_t5
from doubles.reward_world import records, tiny_bert
from transformers import AutoModel

from spanwise.core.errors import CheckpointError, ConfigError
from spanwise.feedback.scores import Sample
from spanwise.reward_models.data.packing import collate
from spanwise.reward_models.heads import HeadSpec
from spanwise.reward_models.network.checkpoint import (
    fingerprint,
    load_backbone,
    load_reward_model,
    save_reward_model,
    window_of,
)
from spanwise.reward_models.network.model import SpanRewardModel, build_reward_model, encoder_of

HEADS = (
    HeadSpec("relevance", "sub-sentence", "segment", slope=2.0, offset=0.5),
    HeadSpec("factuality", "sentence", "segment"),
    HeadSpec("preference", "sequence", "sequence", mean=1.5, std=0.25),
)
BACKBONES = {"llama": tiny_llama, "bert": tiny_bert}


def built(name, **options):
    body, tokenizer = BACKBONES[name]()
    window = window_of(body, tokenizer)
    model = build_reward_model(body, HEADS, window=window, generator=torch.Generator().manual_seed(1), **options)
    return model.eval(), tokenizer


def encoded(model, tokenizer, count=3):
    samples = [Sample(r.prompt, x.text, r.passages) for r in records(count, "model") for x in r.responses[:2]]
    return encoder_of(model, tokenizer).encode([*samples, Sample("what ?", "")])


@pytest.mark.parametrize(
    ("name", "pooling"), [("llama", "last"), ("bert", "mean"), ("llama", "mean"), ("bert", "last")]
)
def test_logits_are_the_heads_on_the_pooled_states(name, pooling):
    model, tokenizer = built(name, pooling=pooling)
    responses = encoded(model, tokenizer)
    logits = model.score(collate(responses, HEADS, pad_id=0)).tolist()
    for item in responses:
        ids = torch.tensor([item.ids])
        hidden = model.backbone(input_ids=ids).last_hidden_state[0]
        for unit, head in enumerate(HEADS):
            for first, last in item.pieces[head.density]:
                state = hidden[last] if pooling == "last" else hidden[first : last + 1].mean(0)
                expected = state @ model.heads.weight[unit] + model.heads.bias[unit]
                assert logits.pop(0) == pytest.approx(expected.item(), abs=1e-5)
    assert logits == []


@pytest.mark.parametrize("name", BACKBONES)
def test_the_weights_of_the_backbone_arrive_and_no_global_number_is_drawn(name):
    body, _ = BACKBONES[name]()
    before = {key: tensor.clone() for key, tensor in body.base_model.state_dict().items()}
    state = torch.random.get_rng_state()
    model = build_reward_model(body, HEADS, window=64, generator=torch.Generator())
    assert torch.equal(torch.random.get_rng_state(), state)
    assert before.keys() == model.backbone.state_dict().keys()
    assert all(torch.equal(before[key], tensor) for key, tensor in model.backbone.state_dict().items())


def test_auto_pooling_follows_the_direction_of_reading():
    assert built("llama")[0].config.pooling == "last"
    assert built("bert")[0].config.pooling == "mean"


@pytest.mark.parametrize("name", BACKBONES)
def test_one_batch_of_many_equals_many_batches_of_one(name):
    model, tokenizer = built(name)
    responses = encoded(model, tokenizer)
    together = model.score(collate(responses, HEADS, pad_id=0))
    apart = torch.cat([model.score(collate([item], HEADS, pad_id=0)) for item in responses])
    torch.testing.assert_close(together, apart, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", BACKBONES)
def test_a_saved_model_comes_back_bit_by_bit_with_its_calibration(tmp_path, name):
    model, tokenizer = built(name, use_passages=False)
    save_reward_model(tmp_path / "best", model, tokenizer)
    save_reward_model(tmp_path / "best", model, tokenizer)
    assert [path.name for path in tmp_path.iterdir()] == ["best"]
    loaded, again = load_reward_model(tmp_path / "best")
    assert loaded.config.head_specs == HEADS
    assert loaded.config.use_passages is False
    assert loaded.config.window == model.config.window
    batch = collate(encoded(model, tokenizer), HEADS, pad_id=0)
    assert torch.equal(loaded.score(batch), model.score(batch))
    assert again("the house was red")["input_ids"] == tokenizer("the house was red")["input_ids"]
    assert isinstance(AutoModel.from_pretrained(tmp_path / "best"), SpanRewardModel)


def test_the_fingerprint_changes_with_a_weight_and_with_calibration():
    model, _ = built("llama")
    before = fingerprint(model)
    model.config.set_heads([HEADS[0], HEADS[1], HeadSpec("preference", "sequence", "sequence")])
    calibrated = fingerprint(model)
    model.heads.bias.data[0] += 1e-3
    assert len({before, calibrated, fingerprint(model)}) == 3


def test_heads_start_the_same_from_the_same_generator():
    assert torch.equal(built("bert")[0].heads.weight, built("bert")[0].heads.weight)


def test_an_encoder_decoder_is_refused():
    body, _ = tiny_t5()
    with pytest.raises(ConfigError, match="t5 has an encoder and a decoder"):
        build_reward_model(body, HEADS, window=64, generator=torch.Generator())


def test_another_kind_of_checkpoint_is_refused_with_the_remedy(tmp_path):
    body, tokenizer = tiny_llama()
    body.save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    with pytest.raises(CheckpointError, match=r"holds a llama model, not a reward model; .*spanwise reward train"):
        load_reward_model(tmp_path)


def test_a_folder_without_a_model_is_refused(tmp_path):
    with pytest.raises(CheckpointError, match="no reward model can be read here"):
        load_reward_model(tmp_path / "absent")
    with pytest.raises(CheckpointError, match=r"backbone: .* cannot be loaded"):
        load_backbone(str(tmp_path / "absent"))


def test_a_damaged_checkpoint_is_refused(tmp_path):
    model, tokenizer = built("llama")
    save_reward_model(tmp_path / "best", model, tokenizer)
    weights = tmp_path / "best" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:100])
    with pytest.raises(CheckpointError, match="is damaged"):
        load_reward_model(tmp_path / "best")
