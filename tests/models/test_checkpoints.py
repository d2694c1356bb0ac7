import json
import logging
import socket

import pytest
import torch
from doubles import models as doubles
from safetensors.torch import load_file, save_file
from transformers import AutoModel, BertConfig, BertModel, LlamaForSequenceClassification, LlamaModel

from spanwise.core.errors import CheckpointError
from spanwise.models import Policy, load_body, load_policy
from spanwise.models.checkpoints import whole_folder


@pytest.fixture(name="folder")
def saved_llama(tmp_path, tiny_llama):
    Policy(*tiny_llama).save(tmp_path / "policy")
    return tmp_path / "policy"


def test_a_folder_is_loaded_without_the_network(folder, monkeypatch):
    def refuse(*arguments, **options):
        raise AssertionError("a local path must not open connections")

    monkeypatch.setattr(socket, "create_connection", refuse)
    monkeypatch.setattr(socket.socket, "connect", refuse)
    model, tokenizer = load_policy(folder)
    assert not model.training
    assert len(tokenizer) == model.get_input_embeddings().num_embeddings


def test_weights_come_in_the_precision_that_was_asked_for(folder):
    model, _ = load_policy(folder, dtype=torch.bfloat16)
    assert {parameter.dtype for parameter in model.parameters()} == {torch.bfloat16}


def test_the_way_of_attending_is_the_one_asked_for(folder):
    model, _ = load_policy(folder, attention="eager")
    assert model.config._attn_implementation == "eager"
    with pytest.raises(CheckpointError, match="by_guessing"):
        load_policy(folder, attention="by_guessing")


def refused(path):
    with pytest.raises(CheckpointError) as caught:
        load_policy(path)
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    assert "\n" not in message
    return message


def test_a_folder_without_a_config_is_refused(tmp_path):
    assert "no config.json there; pass the folder" in refused(tmp_path)


def test_a_file_is_refused(tmp_path):
    (tmp_path / "model.safetensors").write_text("x")
    assert "pass the folder that holds config.json" in refused(tmp_path / "model.safetensors")


def test_a_path_that_is_not_there_is_refused(tmp_path):
    assert "check the path" in refused(tmp_path / "nothing" / "here")


def test_a_damaged_config_is_refused(folder):
    (folder / "config.json").write_text("{")
    refused(folder)


def test_damaged_weights_are_refused(folder):
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:100])
    assert "cannot be loaded" in refused(folder)


def test_a_folder_without_a_tokenizer_is_refused(folder):
    for file in folder.glob("tokenizer*"):
        file.unlink()
    assert "holds no tokenizer" in refused(folder)


def test_a_reward_model_is_refused(folder):
    model, _ = doubles.tiny_llama()
    LlamaForSequenceClassification(model.config).save_pretrained(folder)
    assert "a LlamaForSequenceClassification checkpoint, not a language model" in refused(folder)


def test_an_encoder_is_refused(folder):
    config = BertConfig(
        vocab_size=340, hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16
    )
    BertModel(config).save_pretrained(folder)
    assert "a BertModel checkpoint, not a language model" in refused(folder)


def test_weights_that_are_missing_are_refused_and_not_made_up(folder):
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"num_hidden_layers": 3}))
    assert "weights are missing" in refused(folder)


def test_a_tokenizer_of_another_model_is_refused(folder, tiny_t5):
    model, _ = doubles.tiny_llama()
    model.resize_token_embeddings(300)
    model.save_pretrained(folder)
    assert "the tokenizer has 340 ids, the model embeds 300" in refused(folder)


def test_a_folder_takes_the_place_of_another_whole_or_not_at_all(tmp_path):
    target = tmp_path / "checkpoint"
    for text in ("first", "second"):
        with whole_folder(target) as folder:
            (folder / f"{text}.txt").write_text(text)
            assert not (target / f"{text}.txt").exists()

    def break_off():
        with whole_folder(target) as folder:
            (folder / "third.txt").write_text("half")
            raise RuntimeError("disk")

    with pytest.raises(RuntimeError, match="disk"):
        break_off()
    assert [path.name for path in target.iterdir()] == ["second.txt"]
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint"]


@pytest.fixture(name="said")
def what_transformers_says():
    """The warnings that pass the filters of transformers' own logger."""
    lines: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda record: lines.append(record.getMessage())
    logger = logging.getLogger("transformers.modeling_utils")
    logger.addHandler(handler)
    yield lines
    logger.removeHandler(handler)


def changed_weights(folder, change):
    weights = load_file(folder / "model.safetensors")
    change(weights)
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})


def test_a_body_is_read_without_a_word_on_the_head_that_it_leaves_aside(folder, said):
    changed_weights(folder, lambda weights: weights.update({"score.weight": torch.zeros(1, 16)}))
    body = load_body(str(folder))
    assert type(body) is LlamaModel
    assert not said
    AutoModel.from_pretrained(folder)
    assert any("score.weight" in line for line in said), "transformers alone reports it"


@pytest.mark.parametrize(
    "change",
    [
        lambda weights: weights.pop("model.layers.0.mlp.up_proj.weight"),
        lambda weights: weights.update({"model.layers.0.mlp.more.weight": torch.zeros(2)}),
    ],
    ids=["missing", "unknown"],
)
def test_a_body_that_is_not_the_checkpoint_s_is_reported(folder, said, change):
    changed_weights(folder, change)
    load_body(str(folder))
    assert [line for line in said if "layers.0.mlp" in line]
