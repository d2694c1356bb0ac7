import pytest
from doubles.judge_server import completion, message, serving, slow

from spanwise.core.errors import ConfigError
from spanwise.evals.win_rate.judges.base import Case, Usage
from spanwise.evals.win_rate.judges.chat import ChatJudge
from spanwise.evals.win_rate.judges.config import JudgeConfig
from spanwise.feedback.scores import Unscored

pytest.importorskip("openai")
pytest.importorskip("anthropic")

PROVIDERS = [("openai", completion), ("anthropic", message)]
CASES = [Case(f"question {number}", "$first {one}", "</answer_b> two") for number in range(6)]


def asked(provider, server, cases=CASES, *, judge=None, **more):
    url = server.url + ("/v1" if provider == "openai" else "")
    endpoint = {"provider": provider, "model": "m", "base_url": url, "retries": 2, "timeout_s": 10, **more}
    return dict(ChatJudge(JudgeConfig(kind="chat", endpoint=endpoint, **(judge or {}))).judge(cases))


def kept(cache):
    return len(cache.read_text("utf-8").splitlines()) if cache.exists() else 0


@pytest.mark.parametrize(("provider", "says"), PROVIDERS)
def test_verdicts_tokens_and_cost_come_back(provider, says):
    prices = {"input_price": 2.0, "output_price": 10.0}
    with serving(lambda prompt, _: says("Reasons.\nVerdict: " + ("A" if "question 0" in prompt else "B"))) as server:
        found = asked(provider, server, **prices)
    assert [found[place].share for place in range(6)] == [0.0, 1.0, 1.0, 1.0, 1.0, 1.0]
    assert found[0].usage == Usage(1, 100, 10, pytest.approx(0.0003))
    assert any("$first {one}" in prompt for prompt in server.prompts), "texts are put in as they are"


@pytest.mark.parametrize(("provider", "says"), PROVIDERS)
@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("I like both of them.", "no verdict"),
        ("Verdict: A\nVerdict: B", "two verdicts"),
        ("", "said nothing"),
        ("The verdict: A would be unfair.", "no verdict"),
    ],
)
def test_nonsense_is_unscored_with_its_reason(provider, says, text, reason, tmp_path):
    cache = tmp_path / "replies.jsonl"
    with serving(lambda *_: says(text)) as server:
        found = asked(provider, server, CASES[:1], judge={"cache": cache})[0]
    assert isinstance(found.share, Unscored)
    assert reason in found.share.reason
    assert kept(cache) == 1


@pytest.mark.parametrize(("provider", "says"), PROVIDERS)
def test_a_server_that_fails_for_a_while_is_asked_again(provider, says):
    def answer(_, count):
        return (500, {"error": {"message": "later"}}, {"retry-after-ms": "5"}) if count < 3 else says("Verdict: B")

    with serving(answer) as server:
        assert asked(provider, server, CASES[:1])[0].share == 1.0
    assert len(server.prompts) == 3


@pytest.mark.parametrize(("provider", "says"), PROVIDERS)
def test_a_rate_limit_is_waited_for(provider, says):
    def answer(_, count):
        return (429, {"error": {"message": "slow"}}, {"retry-after-ms": "20"}) if count == 1 else says("Verdict: A")

    with serving(answer) as server:
        assert asked(provider, server, CASES[:1])[0].share == 0.0


@pytest.mark.parametrize(("provider", "says"), PROVIDERS)
@pytest.mark.parametrize(
    "broken",
    [
        (500, {"error": {"message": "down"}}, {"retry-after-ms": "1"}),
        (200, b"<html>not JSON</html>"),
        (200, {"unexpected": True}),
        (200, []),
        (400, {"error": {"message": "too long"}}),
    ],
)
def test_a_server_that_stays_broken_leaves_the_pair_unscored(provider, says, broken, tmp_path):
    cache = tmp_path / "replies.jsonl"
    with serving(lambda *_: broken) as server:
        found = asked(provider, server, CASES[:1], retries=1, judge={"cache": cache})[0]
    assert isinstance(found.share, Unscored)
    assert not kept(cache), "it is asked again another time"


@pytest.mark.parametrize(("provider", "says"), PROVIDERS)
def test_a_time_out_is_unscored(provider, says):
    with serving(lambda *_: slow(0.6, says("Verdict: A"))) as server:
        found = asked(provider, server, CASES[:1], retries=0, timeout_s=0.2)[0]
    assert "time-out" in found.share.reason


@pytest.mark.parametrize(("provider", "says"), PROVIDERS)
def test_nobody_at_the_address_is_unscored(provider, says):
    with serving(lambda *_: says("Verdict: A")) as server:
        pass
    assert "connection" in asked(provider, server, CASES[:1], retries=0)[0].share.reason


@pytest.mark.parametrize(("provider", "says"), PROVIDERS)
@pytest.mark.parametrize("status", [401, 403, 404])
def test_a_refused_key_or_model_stops_the_run(provider, says, status):
    with (
        serving(lambda *_: (status, {"error": {"message": "no"}})) as server,
        pytest.raises(ConfigError, match="check key"),
    ):
        asked(provider, server)


def test_requests_run_side_by_side_and_no_more_than_told():
    with serving(lambda *_: slow(0.1, completion("Verdict: A"))) as server:
        asked("openai", server, CASES, concurrency=3)
    assert server.most_under_way == 3


def test_letters_are_read_from_their_probabilities():
    with serving(lambda *_: completion("M", {"M": -0.5, "m": -1.5, "x": -3.0})) as server:
        found = asked("openai", server, CASES[:1], judge={"method": "label"})[0]
    assert found.share == pytest.approx(1 / (1 + 2.718281828**-1.0))
    assert (server.bodies[0]["max_tokens"], server.bodies[0]["top_logprobs"]) == (1, 5)


def test_a_letter_without_probabilities_counts_whole():
    with serving(lambda *_: completion("m")) as server:
        assert asked("openai", server, CASES[:1], judge={"method": "label"})[0].share == 0.0


def test_a_key_is_needed_for_the_vendor_and_read_from_the_environment(monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with pytest.raises(ConfigError, match="OPENAI_API_KEY is not set"):
        ChatJudge(JudgeConfig(kind="chat", endpoint={"provider": "openai", "model": "m"}))
    monkeypatch.setenv("MY_KEY", "secret")
    with serving(lambda *_: completion("Verdict: A")) as server:
        asked("openai", server, CASES[:1], api_key_env="MY_KEY")
    assert server.headers[0]["authorization"] == "Bearer secret"


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({"kind": "chat"}, r"needs endpoint\.model"),
        ({"kind": "reward"}, "needs model"),
        ({"kind": "reward", "model": "m", "cache": "c.jsonl"}, "keeps no replies"),
        ({"kind": "people"}, "needs pairs"),
        ({"kind": "chat", "endpoint": {"provider": "anthropic", "model": "m"}, "method": "label"}, "no probabilities"),
        ({"kind": "chat", "endpoint": {"provider": "anthropic", "model": "m", "temperature": 1}}, "no temperature"),
        ({"kind": "openai"}, r"renamed to kind=chat with endpoint\.provider=openai"),
        ({"kind": "chat", "base_url": "http://x"}, r"renamed to endpoint\.base_url"),
        ({"kind": "chat", "timeout": 3}, r"renamed to endpoint\.timeout_s"),
        ({"kind": "chat", "price_per_million_prompt_tokens": 3}, r"renamed to endpoint\.input_price"),
    ],
)
def test_settings_that_do_not_go_together_are_told(values, told):
    with pytest.raises(ConfigError, match=told):
        JudgeConfig.from_values(values, place="judge.yaml")


def judge(endpoint=None, **more):
    endpoint = {"provider": "openai", "model": "m", "base_url": "http://127.0.0.1:1/v1", **(endpoint or {})}
    return ChatJudge(JudgeConfig(kind="chat", endpoint=endpoint, **more))


def test_keys_of_replies_follow_what_replies_depend_on(tmp_path):
    (tmp_path / "own.txt").write_text("$instruction $first $second", "utf-8")
    variants = [
        {},
        {"endpoint": {"model": "n"}},
        {"method": "label"},
        {"endpoint": {"temperature": 1.0}},
        {"prompt_file": tmp_path / "own.txt"},
    ]
    keys = [judge(**more).request(CASES[0]).key for more in variants]
    assert len(set(keys)) == len(variants)
    assert judge({"concurrency": 1, "base_url": "http://127.0.0.1:2/v1"}).request(CASES[0]).key == keys[0]


def test_a_prompt_without_its_places_is_refused(tmp_path):
    (tmp_path / "own.txt").write_text("$instruction $first", "utf-8")
    with pytest.raises(ConfigError, match="names"):
        judge(prompt_file=tmp_path / "own.txt")


@pytest.mark.parametrize(("provider", "says"), PROVIDERS)
def test_what_is_sent_is_the_prompt_and_its_few_settings(provider, says):
    with serving(lambda *_: says("Verdict: A")) as server:
        asked(provider, server, CASES[:1])
    (body,) = server.bodies
    assert body.pop("messages") == [{"role": "user", "content": server.prompts[0]}]
    assert body == {"model": "m", "max_tokens": 300} | ({"temperature": 0.0} if provider == "openai" else {})
