"""Models of other trainers as reward sources: they read what their trainers gave them."""

import warnings

import peft
import pytest
import torch
from doubles.chat_models import qwen_tokenizer, templated
from doubles.models import tiny_llama
from doubles.reward_world import tiny_bert
from transformers import (
    BertForSequenceClassification,
    BertForTokenClassification,
    LlamaConfig,
    LlamaForSequenceClassification,
    LlamaForTokenClassification,
)

from spanwise.core.errors import CheckpointError, ConfigError
from spanwise.feedback.prompts import PromptRecord
from spanwise.feedback.scores import Sample, Unscored
from spanwise.models.policy import Policy
from spanwise.rewards.foreign.config import SourceConfig
from spanwise.rewards.sources import foreign_sources

TURNS = [{"role": "user", "content": "Where was Ada born?"}]
STEPS = "Ada was born in Oslo.\n\nShe worked as a mason.\n\nSo it was in Oslo."


def source(device="cpu", **settings):
    (made,) = foreign_sources({"quality": SourceConfig(**settings)}, device=device)
    return made


def llama(kind, tokenizer, folder, labels=1, window=512):
    config = LlamaConfig(
        vocab_size=len(tokenizer), hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4,
        num_labels=labels, max_position_embeddings=window, pad_token_id=tokenizer.pad_token_id, initializer_range=0.3,
    )  # fmt: skip
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = kind(config).eval()
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return model


def test_a_sequence_classifier_scores_the_templates_whole_conversation(tmp_path):
    tokenizer = qwen_tokenizer()
    model = llama(LlamaForSequenceClassification, tokenizer, tmp_path)
    asked = PromptRecord(messages=TURNS)
    samples = [
        Sample.of(asked, "In Oslo."),
        Sample.of(asked, "Nobody knows, it is not said when."),
        Sample.of(asked, ""),
    ]
    scored = source(kind="reward", model=str(tmp_path)).score(samples)
    for sample, scores in zip(samples, scored, strict=True):
        whole = [*TURNS, {"role": "assistant", "content": sample.response}]
        ids = torch.tensor([templated(tokenizer, whole, add_generation_prompt=False)])
        (score,) = scores.scores
        assert score.value == pytest.approx(float(model(input_ids=ids).logits.detach()), abs=1e-4)
        assert (score.span.start, score.span.end) == (0, len(sample.response))


def test_a_label_of_several_is_a_probability_and_a_response_beyond_the_window_is_not_cut(tmp_path):
    model, tokenizer = tiny_bert()
    config = model.config
    config.num_labels, config.id2label, config.label2id = (
        3,
        {0: "bad", 1: "so", 2: "good"},
        {"bad": 0, "so": 1, "good": 2},
    )
    classifier = BertForSequenceClassification(config).eval()
    classifier.save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    made = source(kind="reward", model=str(tmp_path), label="good")
    read, long = made.score([Sample("what was house", "red ."), Sample("what", "red " * 900)])
    ids = tokenizer("what was house red .", return_tensors="pt")
    assert read.scores[0].value == pytest.approx(float(classifier(**ids).logits.detach().softmax(-1)[0, 2]), abs=1e-5)
    assert isinstance(long.missing, Unscored)
    with pytest.raises(ConfigError, match="has 3 labels; name one of bad, so, good"):
        source(kind="reward", model=str(tmp_path))


def test_a_process_reward_model_is_read_at_trls_separators(tmp_path):
    _, tokenizer = tiny_llama()
    model = llama(LlamaForTokenClassification, tokenizer, tmp_path, labels=2)
    scores = source(kind="steps", model=str(tmp_path), density="paragraph").score([Sample("Where?", STEPS)])[0].scores
    # as TRL's PRMTrainer.tokenize_row: prompt, then each completion and the separator, without special tokens
    separator = tokenizer("\n", add_special_tokens=False).input_ids
    ids, places = [tokenizer.bos_token_id, *tokenizer("Where?", add_special_tokens=False).input_ids], []
    for step in STEPS.split("\n\n"):
        ids += tokenizer(step, add_special_tokens=False).input_ids + separator
        places.append(len(ids) - 1)
    right = model(input_ids=torch.tensor([ids])).logits.softmax(-1)[0, places, 1]
    assert [score.value for score in scores] == pytest.approx((2 * right - 1).tolist(), abs=1e-4)
    assert [score.span.of(STEPS).strip() for score in scores] == STEPS.split("\n\n")


def test_a_token_classifier_gives_each_token_its_probability(tmp_path):
    model, tokenizer = tiny_bert()
    model.config.num_labels = 2
    tagger = BertForTokenClassification(model.config).eval()
    tagger.save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    made = source(kind="labels", model=str(tmp_path))
    (scores,) = made.score([Sample("what", "red house .")])
    logits = tagger(**tokenizer("what red house .", return_tensors="pt")).logits.softmax(-1)[0, :, 1]
    assert made.density == "token"
    assert [score.span.of("red house .") for score in scores.scores] == ["red", "house", "."]
    assert [score.value for score in scores.scores] == pytest.approx(logits[2:5].tolist(), abs=1e-5)


def test_a_model_without_its_head_is_refused(tmp_path):
    model, tokenizer = tiny_bert()
    model.save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    with pytest.raises(CheckpointError, match=r"has no weights for classifier.*, so its scores would be noise"):
        source(kind="reward", model=str(tmp_path))
    with pytest.raises(CheckpointError, match=r"sources.quality: .*nothing cannot be loaded"):
        source(kind="reward", model=str(tmp_path / "nothing"))


def adapted(model, base, folder, **settings):
    """Trains nothing: an adapter with weights of chance, as PEFT saves it beside `base`."""
    config = peft.LoraConfig(
        r=2, lora_alpha=4, target_modules=["q_proj", "v_proj"], init_lora_weights=False, **settings
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # of peft's own use of transformers
            wrapped = peft.get_peft_model(model, config)
    wrapped.peft_config["default"].base_model_name_or_path = str(base)
    wrapped.save_pretrained(folder)
    return wrapped.eval()


def test_an_adapter_folder_is_a_reward_model_on_its_base(tmp_path):
    tokenizer = qwen_tokenizer()
    model = llama(LlamaForSequenceClassification, tokenizer, tmp_path / "base")
    wrapped = adapted(model, tmp_path / "base", tmp_path / "adapter", task_type="SEQ_CLS")
    sample = Sample.of(PromptRecord(messages=TURNS), "In Oslo.")
    (scores,) = source(kind="reward", model=str(tmp_path / "adapter")).score([sample])
    whole = [*TURNS, {"role": "assistant", "content": "In Oslo."}]
    ids = torch.tensor([templated(tokenizer, whole, add_generation_prompt=False)])
    assert scores.scores[0].value == pytest.approx(float(wrapped(input_ids=ids).logits.detach()), abs=1e-3)


def test_an_adapter_folder_is_a_policy_on_its_base(tmp_path):
    base = Policy(*tiny_llama())
    base.save(tmp_path / "base")
    wrapped = adapted(tiny_llama()[0], tmp_path / "base", tmp_path / "adapter", task_type="CAUSAL_LM")
    policy = Policy.load(tmp_path / "adapter")
    ids = torch.tensor([policy.encode_prompt("Ada Veld was born")])
    theirs, ours = wrapped(input_ids=ids).logits, policy.model(input_ids=ids).logits
    torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=1e-4)
    assert not torch.allclose(ours, base.model(input_ids=ids).logits, atol=1e-2)
    policy.save(tmp_path / "merged")
    torch.testing.assert_close(Policy.load(tmp_path / "merged").model(input_ids=ids).logits, ours)
    (tmp_path / "adapter" / "adapter_config.json").write_text('{"peft_type": "LORA"}')
    with pytest.raises(CheckpointError, match="does not say what its base model is"):
        Policy.load(tmp_path / "adapter")
