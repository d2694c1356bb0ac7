"""Reward models as adapters: the base stays as it is, the checkpoint names it, and PEFT reads it."""

import json

import peft
import pytest
import torch
from doubles.edit_world import edit_pairs
from doubles.models import tiny_gpt2, tiny_llama
from doubles.reward_world import records, tiny_bert, tiny_decoder
from safetensors.torch import load_file
from transformers import AutoModel

from spanwise.core.errors import CheckpointError, ConfigError
from spanwise.core.lora import LoraConfig
from spanwise.core.runs import RunFolder
from spanwise.feedback.scores import Sample
from spanwise.models.adapters import base_fingerprint
from spanwise.reward_models.config import FittingConfig, RewardModelConfig, TokenRewardConfig
from spanwise.reward_models.fitting.segments import evaluate_reward_model, train_reward_model
from spanwise.reward_models.fitting.tokens import TokenData, train_token_model
from spanwise.reward_models.network.adapted import AdaptedRewardModel
from spanwise.reward_models.network.checkpoint import fingerprint, load_backbone, load_reward_model
from spanwise.rewards.learned import LearnedRewards

LORA = {"rank": 4, "alpha": 8.0}


def saved(folder, double):
    model, tokenizer = double()
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def trained(tmp_path, double=tiny_llama, *, epochs=1, heads=("relevance", "completeness"), count=16, **settings):
    """A run on a base model of its own, and the config it had."""
    base = saved(tmp_path / "base", double)
    config = RewardModelConfig.from_values(
        {
            "backbone": str(base), "lora": LORA, "heads": heads, "device": "cpu", **settings,
            "fitting": {"epochs": epochs, "learning_rate": 1e-2, "head_learning_rate": 1e-2},
        },
        place="test",
    )  # fmt: skip
    return config, train_reward_model(config, records(count), folder=RunFolder(tmp_path / "run"))


def best(tmp_path):
    return tmp_path / "run" / "checkpoints" / "best"


def scores(model, tokenizer):
    samples = [Sample(r.prompt, answer.text, r.passages) for r in records(4, "judge") for answer in r.responses]
    return LearnedRewards(model, tokenizer).score_all(samples)


@pytest.mark.parametrize("double", [tiny_llama, tiny_gpt2, tiny_bert])
def test_the_checkpoint_is_small_names_its_base_and_says_alone_what_was_trained(tmp_path, double):
    _, run = trained(tmp_path, double)
    stored = json.loads((best(tmp_path) / "adapter_config.json").read_text())
    assert (stored["base_model_name_or_path"], stored["r"], stored["lora_alpha"]) == (str(tmp_path / "base"), 4, 8.0)
    alone, tokenizer = load_reward_model(best(tmp_path))
    assert scores(alone, tokenizer) == scores(run.model, run.tokenizer)
    assert fingerprint(alone) == fingerprint(run.model)
    body, _ = load_backbone(str(tmp_path / "base"))
    learned = load_file(best(tmp_path) / "adapter_model.safetensors")
    assert not learned.keys() & body.state_dict().keys()
    assert max(float(t.abs().max()) for key, t in learned.items() if ".lora_B." in key) > 0
    frozen = {key.replace(".base_layer", ""): t for key, t in alone.backbone.state_dict().items() if "lora" not in key}
    assert all(torch.equal(frozen[key], tensor) for key, tensor in body.state_dict().items())


def test_an_adapter_learns_what_all_weights_learn(tmp_path):
    config, run = trained(tmp_path, tiny_decoder, epochs=8, heads=("relevance", "factuality", "preference"), count=90)
    heads, _ = evaluate_reward_model(config, run.model, run.tokenizer, records(25, "judge"))
    assert heads["relevance"].metrics["auroc"] > 0.9
    assert heads["factuality"].metrics["auroc"] > 0.9
    assert heads["preference"].metrics["pair_accuracy"] > 0.8


@pytest.mark.filterwarnings("ignore:.*is_gradient_checkpointing.*:FutureWarning")  # PEFT asks transformers for it
def test_peft_and_transformers_read_the_checkpoint(tmp_path):
    trained(tmp_path)
    alone, _ = load_reward_model(best(tmp_path))
    assert isinstance(AutoModel.from_pretrained(best(tmp_path)), AdaptedRewardModel)
    theirs = peft.PeftModel.from_pretrained(AutoModel.from_pretrained(tmp_path / "base"), best(tmp_path))
    ids = torch.arange(3, 20)[None]
    with torch.no_grad(), alone.role.active():
        assert torch.equal(theirs(input_ids=ids).last_hidden_state, alone.backbone(input_ids=ids).last_hidden_state)


def test_a_token_model_can_be_an_adapter(tmp_path):
    base = str(saved(tmp_path / "base", tiny_decoder))
    fitting = FittingConfig(epochs=6, batch_size=8, learning_rate=1e-2, head_learning_rate=1e-2)
    config = TokenRewardConfig(backbone=base, lora=LoraConfig(**LORA), fitting=fitting, device="cpu")
    run = train_token_model(config, TokenData(edits=edit_pairs(60)), folder=RunFolder(tmp_path / "run"))
    assert run.metrics["token"]["pair_accuracy"] > 0.9
    alone, tokenizer = load_reward_model(best(tmp_path))
    assert alone.config.base_fingerprint == base_fingerprint(load_backbone(base)[0])
    assert scores(alone, tokenizer) == scores(run.model, run.tokenizer)


def test_counted_features_travel_too(tmp_path):
    _, run = trained(tmp_path, features=True)
    alone, tokenizer = load_reward_model(best(tmp_path))
    assert scores(alone, tokenizer) == scores(run.model, run.tokenizer)
    assert float(alone.feature_heads.weight.detach().abs().max()) > 0


def test_a_base_that_is_gone_or_another_is_named(tmp_path):
    trained(tmp_path)
    saved(tmp_path / "base", lambda: tiny_llama(seed=1))
    with pytest.raises(CheckpointError, match="base' holds other weights than those"):
        load_reward_model(best(tmp_path))
    (tmp_path / "base").rename(tmp_path / "elsewhere")
    with pytest.raises(CheckpointError, match=r"base' cannot be loaded .* base_model_name_or_path"):
        load_reward_model(best(tmp_path))
    saved(tmp_path / "elsewhere", tiny_llama)
    place = best(tmp_path) / "adapter_config.json"
    place.write_text(place.read_text().replace(str(tmp_path / "base"), str(tmp_path / "elsewhere")))
    assert load_reward_model(best(tmp_path))[0].base == str(tmp_path / "elsewhere")


@pytest.mark.parametrize("name", ["adapter_model.safetensors", "heads.safetensors", "adapter_config.json"])
def test_a_damaged_checkpoint_is_named(tmp_path, name):
    trained(tmp_path)
    (best(tmp_path) / name).write_text("{")
    with pytest.raises(CheckpointError, match="damaged"):
        load_reward_model(best(tmp_path))


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"fitting": {"method": "linear"}}, "nothing below the heads"),
        ({"layers": 1}, "leave likelihoods and layers out"),
        ({"likelihoods": True, "fitting": {"method": "linear"}}, "nothing below the heads"),
    ],
)
def test_what_does_not_go_with_an_adapter_is_refused(settings, words):
    with pytest.raises(ConfigError, match=words):
        RewardModelConfig.from_values({"lora": LORA, **settings}, place="test")


def test_a_base_without_a_place_is_refused():
    config = RewardModelConfig(lora=LoraConfig(rank=2), heads=("relevance",), device="cpu")
    with pytest.raises(ConfigError, match="set backbone"):
        train_reward_model(config, records(8), backbone=tiny_llama())


def test_the_fingerprint_tells_bodies_apart_but_not_precisions():
    (first, _), (second, _) = tiny_llama(), tiny_llama(seed=1)
    assert base_fingerprint(first) != base_fingerprint(second)
    assert base_fingerprint(first) == base_fingerprint(first.model) == base_fingerprint(first.to(torch.bfloat16))
