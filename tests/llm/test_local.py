import copy

import pytest
from doubles.models import tiny_llama

from spanwise.core.errors import ConfigError
from spanwise.llm.chat import ChatRequest
from spanwise.llm.clients import make_client
from spanwise.llm.config import EndpointConfig

TEMPLATE = "{% for turn in messages %}{{ turn.role }}: {{ turn.content }} {% endfor %}answer:"


@pytest.fixture
def folder(tmp_path):
    model, tokenizer = tiny_llama()
    tokenizer = copy.deepcopy(tokenizer)  # the double is shared by all tests
    tokenizer.chat_template = TEMPLATE
    model.save_pretrained(tmp_path / "chat")
    tokenizer.save_pretrained(tmp_path / "chat")
    return tmp_path / "chat"


def asked(**changes):
    values = {"model": "m", "system": "s", "messages": (("user", "where was Ada Veld born?"),), "max_tokens": 6}
    return ChatRequest(**values | changes)


def test_a_local_model_answers_and_sampling_repeats_for_its_seed(folder):
    client = make_client(EndpointConfig(provider="local", model=str(folder)))
    greedy = client.complete(asked())
    assert 0 < greedy.output_tokens <= 6
    assert (greedy.finish == "length") == (greedy.output_tokens == 6)
    assert greedy.input_tokens > 6
    assert client.complete(asked()) == greedy
    drawn = [client.complete(asked(temperature=2.0, seed=seed)).text for seed in (1, 1, 2)]
    assert drawn[0] == drawn[1] != drawn[2]


def test_what_is_no_chat_model_is_refused(folder, tmp_path):
    with pytest.raises(ConfigError, match="cannot be loaded as a chat model"):
        make_client(EndpointConfig(provider="local", model=str(tmp_path / "absent")))
    (folder / "chat_template.jinja").unlink()
    with pytest.raises(ConfigError, match="has no chat template"):
        make_client(EndpointConfig(provider="local", model=str(folder)))
