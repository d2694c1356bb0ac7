import copy

import pytest
from doubles.models import tiny_llama

from spanwise.core.errors import CheckpointError, ConfigError
from spanwise.llm.chat import CallError, ChatRequest
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
    with pytest.raises(CheckpointError, match="no causal language model"):
        make_client(EndpointConfig(provider="local", model=str(tmp_path / "absent")))
    (folder / "chat_template.jinja").unlink()
    with pytest.raises(ConfigError, match="has no chat template"):
        make_client(EndpointConfig(provider="local", model=str(folder)))


def test_choices_are_read_off_behind_the_template_and_nothing_is_generated(folder):
    client = make_client(EndpointConfig(provider="local", model=str(folder)))
    reply = client.complete(asked(choices=("Ada", "Oslo")))
    assert all(value < 0 for value in reply.logprobs.values())
    assert reply.text == max(reply.logprobs, key=reply.logprobs.get)
    assert reply.output_tokens == 0


def test_choices_need_no_template_and_a_prompt_beyond_the_window_is_told(folder):
    (folder / "chat_template.jinja").unlink()
    client = make_client(EndpointConfig(provider="local", model=str(folder)), choices_only=True)
    assert set(client.complete(asked(choices=("Ada", "Oslo"))).logprobs) == {"Ada", "Oslo"}
    with pytest.raises(CallError) as caught:
        client.complete(asked(choices=("Ada", "Oslo"), messages=(("user", "word " * 5000),)))
    assert caught.value.kind == "prompt too long"
    with pytest.raises(ConfigError, match="does not tell"):
        client.complete(asked(choices=("Ada", "Oslo Ada")))
