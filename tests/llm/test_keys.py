"""A key goes to the vendor's own address, or to the server for which the user named it; nowhere else."""

import pytest
from doubles.judge_server import completion, message, serving

from spanwise.core.errors import ConfigError
from spanwise.evals.win_rate.judges.base import Case
from spanwise.evals.win_rate.judges.chat import ChatJudge
from spanwise.evals.win_rate.judges.config import JudgeConfig
from spanwise.llm.chat import ChatRequest
from spanwise.llm.clients import make_client
from spanwise.llm.config import EndpointConfig
from spanwise.llm.keys import ANTHROPIC, OPENAI, anthropic_client, key_for, openai_client
from spanwise.rewards.scorers.http import PerspectiveConfig, PerspectiveScorer

pytest.importorskip("openai", reason="the extra `editors` is not installed")
pytest.importorskip("anthropic", reason="the extra `editors` is not installed")

SECRETS = {
    **{f"OPENAI_{name}": f"secret-openai-{name}" for name in ("API_KEY", "ADMIN_KEY", "ORG_ID", "PROJECT_ID")},
    **{f"ANTHROPIC_{name}": f"secret-anthropic-{name}" for name in ("API_KEY", "AUTH_TOKEN")},
    "OPENAI_CUSTOM_HEADERS": "X-Own: secret-header\nAuthorization: Bearer secret-authorization",
    "ANTHROPIC_CUSTOM_HEADERS": "X-Own: secret-header\nAuthorization: Bearer secret-authorization",
    "PERSPECTIVE_API_KEY": "secret-perspective",
}
CHAT = [(part, provider) for part in ("editor", "judge") for provider in ("openai", "anthropic")]


@pytest.fixture(autouse=True)
def _secrets_in_the_environment(monkeypatch):
    for name, value in SECRETS.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("MY_KEY", "mine")


def ask(part, provider, server, **key):
    address = server.url + ("/v1" if provider == "openai" else "")
    endpoint = EndpointConfig(provider=provider, model="m", base_url=address, retries=0, **key)
    if part == "judge":
        assert dict(ChatJudge(JudgeConfig(kind="chat", endpoint=endpoint)).judge([Case("question", "one", "two")]))
    else:
        asked = ChatRequest(model="m", system="", messages=(("user", "hi"),), max_tokens=9, seed=None, temperature=None)
        make_client(endpoint).complete(asked)


def heard(part, provider, **key):
    says = completion if provider == "openai" else message
    with serving(lambda *_: says("Verdict: A")) as server:
        ask(part, provider, server, **key)
    (headers,) = server.headers
    return headers


@pytest.mark.parametrize(("part", "provider"), CHAT)
def test_another_server_gets_nothing_of_the_environment(part, provider):
    headers = heard(part, provider)
    assert not [value for value in headers.values() if "secret" in value or "mine" in value]
    assert headers.get("authorization", "Bearer none") == "Bearer none"


@pytest.mark.parametrize(("part", "provider"), CHAT)
def test_another_server_gets_the_key_that_was_named_for_it_and_no_more(part, provider):
    headers = heard(part, provider, api_key_env="MY_KEY")
    assert "mine" in (headers.get("authorization", "") + headers.get("x-api-key", ""))
    assert not [value for value in headers.values() if "secret" in value]


@pytest.mark.parametrize(("part", "provider"), CHAT)
def test_a_named_key_that_is_not_set_is_refused_before_anything_is_sent(part, provider, monkeypatch):
    monkeypatch.delenv("MY_KEY")
    with serving(lambda *_: completion("Verdict: A")) as server:
        with pytest.raises(ConfigError, match=f"MY_KEY is not set; set it to the key for {server.url}"):
            ask(part, provider, server, api_key_env="MY_KEY")
        assert not server.headers


@pytest.mark.parametrize(
    ("address", "key"),
    [
        (None, "secret-openai-API_KEY"),
        ("https://api.openai.com/v1", "secret-openai-API_KEY"),
        ("http://api.openai.com/v1", None),
        ("https://api.openai.com.example.org/v1", None),
        ("https://example.org/api.openai.com/v1", None),
        ("http://127.0.0.1:8000/v1", None),
    ],
)
def test_a_vendors_own_variable_is_for_its_own_address(address, key):
    assert key_for(OPENAI, address, None) == key


def test_the_environment_does_not_move_a_vendors_address(monkeypatch):
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:1/v1")
    monkeypatch.setenv("ANTHROPIC_BASE_URL", "http://127.0.0.1:1")
    options = {"timeout_s": 1.0, "retries": 0}
    assert OPENAI.owns(str(openai_client(None, None, **options).base_url))
    assert ANTHROPIC.owns(str(anthropic_client(None, None, **options).base_url))


@pytest.mark.parametrize(("named", "sent"), [({}, None), ({"api_key_env": "MY_KEY"}, "mine")])
def test_another_scoring_service_gets_only_the_key_that_was_named_for_it(named, sent):
    scores = {"attributeScores": {"TOXICITY": {"summaryScore": {"value": 0.5}}}}
    with serving(lambda *_: (200, scores)) as server:
        assert PerspectiveScorer(PerspectiveConfig(url=server.url, retries=0, **named)).score(["text"]) == [0.5]
    assert server.headers[0].get("x-goog-api-key") == sent
