"""Likelihoods of pieces: against a language model's own logits, packed or not, trained, stored and served."""

import pytest
import torch
from doubles.models import tiny_gpt2, tiny_llama
from doubles.reward_world import records, tiny_bert
from transformers import AutoModelForCausalLM, CohereConfig, Gemma2Config, GraniteConfig

from spanwise.core.errors import ConfigError
from spanwise.core.runs import RunFolder
from spanwise.core.seeding import torch_generator
from spanwise.feedback.scores import Sample
from spanwise.reward_models.config import FittingConfig, RewardModelConfig
from spanwise.reward_models.data.inputs import InputEncoder
from spanwise.reward_models.data.packing import collate
from spanwise.reward_models.fitting.segments import train_reward_model
from spanwise.reward_models.heads import HeadSpec
from spanwise.reward_models.network.checkpoint import load_reward_model
from spanwise.reward_models.network.model import build_reward_model
from spanwise.rewards.learned import LearnedRewards

HEADS = (
    HeadSpec("relevance", "sub-sentence", "segment"),
    HeadSpec("factuality", "sentence", "segment"),
    HeadSpec("preference", "sequence", "sequence"),
)


def other_logits(config_class, **more):
    """A double of one layer whose logits are capped or scaled, for the vocabulary of the tiny Llama's tokenizer."""

    def double():
        _, tokenizer = tiny_llama()
        sizes = {"hidden_size": 32, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}
        ids = {"eos_token_id": 1, "pad_token_id": 2, "bos_token_id": 0}
        config = config_class(vocab_size=len(tokenizer), num_key_value_heads=1, head_dim=16, **sizes, **ids, **more)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            return AutoModelForCausalLM.from_config(config).eval(), tokenizer

    return double


OTHER_LOGITS = {
    "soft-capped": other_logits(Gemma2Config, final_logit_softcapping=0.5, initializer_range=0.3),
    "soft-capped, untied": other_logits(
        Gemma2Config, final_logit_softcapping=0.5, tie_word_embeddings=False, initializer_range=0.3
    ),
    "multiplied": other_logits(CohereConfig, logit_scale=4.0),
    "divided": other_logits(GraniteConfig, logits_scaling=0.25),
}


def model_of(double):
    body, tokenizer = double()
    model = build_reward_model(
        body, HEADS, likelihoods=True, window=256, generator=torch_generator(0, "test/likelihoods")
    )
    return body, model.eval(), tokenizer


def encoded(tokenizer):
    encoder = InputEncoder(tokenizer, max_length=256, use_passages=True, densities=[head.density for head in HEADS])
    samples = [Sample(r.prompt, x.text, r.passages) for r in records(3, "likelihoods") for x in r.responses]
    return encoder.encode([*samples, Sample("something else altogether ?", "")])


def by_transformers(body, items):
    """LIKELIHOODS of every piece, from the language model's own logits of one response at a time."""
    expected = []
    for item in items:
        ids = torch.tensor([item.ids])
        logprobs = body(ids).logits[0].log_softmax(-1)
        said = [logprobs[place - 1, item.ids[place]].item() for place in range(1, len(item.ids))]
        for head in HEADS:
            for first, last in item.pieces[head.density]:
                own = said[first - 1 : last]
                expected.append([sum(own), sum(own) / len(own), min(own), sum(own[:4]), own[-1]])
    return torch.tensor(expected)


@pytest.mark.parametrize("double", [tiny_llama, tiny_gpt2])
@pytest.mark.parametrize("pack_to", [0, 256])
def test_likelihoods_are_those_of_the_language_model_read_response_by_response(double, pack_to):
    body, model, tokenizer = model_of(double)
    items = encoded(tokenizer)
    batch = collate(items, HEADS, pad_id=0, pack_to=pack_to)
    assert (batch.branches is not None) == bool(pack_to)
    with torch.inference_mode():
        found = model.read(batch)[1]
        expected = by_transformers(body, items)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", OTHER_LOGITS)
def test_likelihoods_of_capped_and_scaled_logits_are_those_of_transformers(name):
    body, model, tokenizer = model_of(OTHER_LOGITS[name])
    items = encoded(tokenizer)
    with torch.inference_mode():
        found = model.read(collate(items, HEADS, pad_id=0, pack_to=256 if model.packs else 0))[1]
        expected = by_transformers(body, items)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)


def config(**settings):
    fitting = FittingConfig(method="linear", strengths=(0.1,), state_scales=(0.1,))
    return RewardModelConfig(fitting=fitting, device="cpu", **{"likelihoods": True, **settings})


@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("features", [True, False])
def test_a_model_with_likelihoods_comes_back_from_disk_as_it_was(tmp_path, tied, features):
    body, tokenizer = tiny_llama(tied=tied)
    folder = RunFolder(tmp_path)
    run = train_reward_model(config(features=features), records(30), backbone=(body, tokenizer), folder=folder)
    loaded, _ = load_reward_model(folder.checkpoint("best"))
    assert (loaded.vocabulary is None) == tied
    assert loaded.pack_to == run.model.pack_to
    samples = [Sample(r.prompt, x.text, r.passages) for r in records(4, "served") for x in r.responses]
    assert LearnedRewards(loaded, tokenizer).score_all(samples) == LearnedRewards(run.model, tokenizer).score_all(
        samples
    )
    assert (loaded.feature_heads.weight[:, -5:].abs().sum(1) > 0).all()


def test_likelihoods_need_a_language_model_that_stays_as_it_is():
    with pytest.raises(ValueError, match=r"fitting\.method"):
        RewardModelConfig(likelihoods=True)
    with pytest.raises(ConfigError, match="likelihoods"):
        train_reward_model(config(), records(30), backbone=tiny_bert())
