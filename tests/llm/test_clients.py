import pytest
from doubles.llm_server import anthropic_reply, openai_reply, serve

from spanwise.core.errors import ConfigError
from spanwise.llm.chat import CallError, ChatRequest
from spanwise.llm.clients import make_client
from spanwise.llm.config import EndpointConfig

pytest.importorskip("openai", reason="the extra `editors` is not installed")
pytest.importorskip("anthropic", reason="the extra `editors` is not installed")

SCHEMA = {"type": "object", "properties": {"x": {"type": "integer"}}, "required": ["x"], "additionalProperties": False}


def request(**changes):
    values = {
        "model": "m",
        "system": "be brief",
        "messages": (("user", "hi"),),
        "max_tokens": 9,
        "seed": 4,
        "temperature": 0.0,
    }
    return ChatRequest(**values | changes)


def client(provider, address, **settings):
    path = "/v1" if provider == "openai" else ""
    return make_client(
        EndpointConfig(
            provider=provider, model="m", base_url=address + path, **{"retries": 0, "timeout_s": 5} | settings
        )
    )


def test_openai_gets_the_request_and_gives_text_tokens_and_version():
    with serve(lambda body: openai_reply("hello")) as (address, seen):
        reply = client("openai", address).complete(request(schema=SCHEMA))
    (body,) = seen
    assert body["path"] == "/v1/chat/completions"
    assert body["messages"] == [{"role": "system", "content": "be brief"}, {"role": "user", "content": "hi"}]
    assert (body["max_tokens"], body["temperature"], body["seed"]) == (9, 0.0, 4)
    assert body["response_format"]["json_schema"]["schema"] == SCHEMA
    assert (reply.text, reply.finish, reply.model) == ("hello", "stop", "test-model-2026")
    assert (reply.input_tokens, reply.output_tokens, reply.reply_id) == (11, 7, "chatcmpl-1")


def test_anthropic_gets_the_request_and_gives_text_tokens_and_version():
    with serve(lambda body: anthropic_reply('{"x": 3}')) as (address, seen):
        reply = client("anthropic", address).complete(request(schema=SCHEMA))
    (body,) = seen
    assert (body["path"], body["system"]) == ("/v1/messages", "be brief")
    assert body["temperature"] == 0
    assert body["output_config"]["format"] == {"type": "json_schema", "schema": SCHEMA}
    assert (reply.text, reply.finish, reply.model) == ('{"x": 3}', "stop", "test-claude-2026")
    assert (reply.input_tokens, reply.output_tokens, reply.reply_id) == (13, 5, "msg_1")


@pytest.mark.parametrize("provider", ["openai", "anthropic"])
def test_schema_and_temperature_can_be_left_out(provider):
    answer = openai_reply("x") if provider == "openai" else anthropic_reply("x")
    with serve(lambda body: answer) as (address, seen):
        found = client(provider, address, structured=False).complete(request(schema=SCHEMA, temperature=None))
    assert found.text == "x"
    assert not {"temperature", "response_format", "output_config"} & set(seen[0])


@pytest.mark.parametrize(
    ("provider", "answer", "kind"),
    [
        ("openai", (400, {"error": {"message": "no such model"}}), "rejected"),
        ("openai", (401, {"error": {"message": "whose key?"}}), "no access"),
        ("openai", (404, {"error": {"message": "no such model"}}), "no access"),
        ("openai", (500, {"error": {"message": "boom"}}), "server error"),
        ("openai", (429, {"error": {"message": "slow down"}}), "rate limit"),
        ("openai", (200, 3.0), "time-out"),
        ("openai", (200, {"id": "x", "choices": []}), "malformed reply"),
        ("openai", (200, '{"half'), "malformed reply"),
        (
            "anthropic",
            (400, {"type": "error", "error": {"type": "invalid_request_error", "message": "no"}}),
            "rejected",
        ),
        ("anthropic", (403, {"type": "error", "error": {"type": "permission_error", "message": "no"}}), "no access"),
        ("anthropic", (529, {"type": "error", "error": {"type": "overloaded_error", "message": "x"}}), "server error"),
        ("anthropic", (200, {"id": "x"}), "malformed reply"),
    ],
)
def test_what_goes_wrong_has_a_kind_and_is_not_paid(provider, answer, kind):
    with serve(lambda body: answer) as (address, _), pytest.raises(CallError) as caught:
        client(provider, address, timeout_s=0.5).complete(request())
    assert (caught.value.kind, caught.value.paid) == (kind, None)
    assert caught.value.reason


@pytest.mark.parametrize(
    ("provider", "answer", "reason"),
    [
        ("openai", openai_reply(None, refusal="I will not"), "I will not"),
        ("openai", openai_reply("", finish="content_filter"), "the endpoint's content filter"),
        ("anthropic", anthropic_reply("I must not", stop="refusal"), "I must not"),
    ],
)
def test_a_refusal_is_named_and_was_paid(provider, answer, reason):
    with serve(lambda body: answer) as (address, _), pytest.raises(CallError) as caught:
        client(provider, address).complete(request())
    assert (caught.value.kind, caught.value.reason) == ("model refused", reason)
    assert caught.value.paid.input_tokens > 0


def test_rate_limits_and_server_errors_are_tried_again():
    answers = iter([(429, {}), (503, {}), openai_reply("at last")])
    with serve(lambda body: next(answers)) as (address, seen):
        assert client("openai", address, retries=3).complete(request()).text == "at last"
    assert len(seen) == 3


def test_nobody_listening_is_a_connection_error():
    with serve(lambda body: openai_reply("x")) as (address, _):
        pass
    with pytest.raises(CallError) as caught:
        client("openai", address).complete(request())
    assert caught.value.kind == "connection"


def test_the_service_of_a_vendor_needs_its_key(monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with pytest.raises(ConfigError, match="OPENAI_API_KEY is not set"):
        make_client(EndpointConfig(provider="openai", model="m"))


def test_the_key_changes_with_everything_in_the_request():
    variants = [{}, {"seed": 5}, {"system": ""}, {"schema": SCHEMA}, {"choices": ("m", "M")}]
    keys = {request(**changes).key for changes in variants}
    assert len(keys) == 5
    assert request().key == request().key


def test_books_of_before_choices_keep_their_replies():
    assert request().key == "5f3041d09d376993dc33e16b34161f3e0424e79eb8a0fda17318a6638fe0538a"


def test_openai_lists_how_likely_the_choices_are():
    status, body = openai_reply("M")
    listed = [("M", -0.5), (" M", -0.7), ("x", -3.0)]
    top = [{"token": token, "logprob": value, "bytes": None} for token, value in listed]
    body["choices"][0]["logprobs"] = {"content": [{**top[0], "top_logprobs": top}], "refusal": None}
    with serve(lambda _: (status, body)) as (address, seen):
        reply = client("openai", address).complete(request(choices=("m", "M")))
        without = client("openai", address).complete(request())
    assert (reply.logprobs, without.logprobs) == ({"M": -0.5}, None)
    assert (seen[0]["logprobs"], seen[0]["top_logprobs"]) == (True, 5)
    assert "logprobs" not in seen[1]
