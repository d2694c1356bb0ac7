import json
import threading

import pytest
from doubles.llm_server import openai_reply, serve

from spanwise.core.errors import DataError
from spanwise.core.files import read_json, write_jsonl
from spanwise.feedback.edits import EditPair
from spanwise.feedback.files import load_or_raise
from spanwise.llm.editors.config import EditorConfig
from spanwise.llm.editors.generate import generate_edits
from spanwise.llm.replies import beside

WORDS = ["one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"]


def response(number):
    return f"Answer {number}: " + " ".join(WORDS) + "."


def change(find, new):
    return json.dumps({"edits": [{"find": find, "occurrence": 1, "replace": new, "category": "c", "reason": "r"}]})


GOOD = change("four", "4")
BY_RESPONSE = {
    0: openai_reply(GOOD),
    1: openai_reply("I would rather write: everything is fine."),
    2: (200, 2.0),
    3: openai_reply('{"edits": [{"find": "fo'),
    4: openai_reply(None, refusal="I cannot help with that"),
    5: openai_reply('{"edits": []}'),
    6: openai_reply(change("one two three four five six seven eight nine", "nothing")),
    7: openai_reply(GOOD, finish="length"),
    8: (400, {"error": {"message": "too long"}}),
    9: (500, {"error": {"message": "boom"}}),
    10: openai_reply(change("Answer 10", "Answer ten")),
}
REASONS = {
    "answered in prose": 1, "time-out": 1, "not JSON": 1, "model refused": 1, "identical": 1, "over budget": 1,
    "cut off": 1, "rejected": 1, "server error": 1,
}  # fmt: skip


def number_of(body):
    return int(body["messages"][1]["content"].split("Answer ")[-1].split(":")[0])


@pytest.fixture
def config(tmp_path):
    tasks = [{"id": f"t{k}", "prompt": "Count.", "response": response(k), "sample": 0} for k in BY_RESPONSE]
    write_jsonl(tmp_path / "answers.jsonl", tasks)

    def make(address, **changes):
        endpoint = {
            "provider": "openai", "model": "m", "base_url": f"{address}/v1", "retries": 0, "timeout_s": 0.7,
            "input_price": 1.0, "output_price": 10.0, "concurrency": 3,
        }  # fmt: skip
        paths = {"responses": tmp_path / "answers.jsonl", "output": tmp_path / "pairs.jsonl"}
        return EditorConfig.model_validate(paths | {"endpoint": endpoint, "attempts": 1} | changes)

    return make


def test_what_editors_do_wrong_is_counted_named_and_never_trained_on(config):
    with serve(lambda body: BY_RESPONSE[number_of(body)]) as (address, _):
        settings = config(address)
        report = generate_edits(settings)
    pairs = load_or_raise(settings.output, EditPair)
    assert {pair.id: pair.edited for pair in pairs} == {
        "t0": response(0).replace("four", "4"),
        "t10": response(10).replace("10", "ten"),
    }
    assert (report.fit, report.responses, report.refused) == (2, 11, REASONS)
    assert (report.calls, report.failed_calls) == (
        11,
        {"model refused": 1, "time-out": 1, "rejected": 1, "server error": 1},
    )
    assert report.cost == pytest.approx(8 * (11 * 1 + 7 * 10) / 1e6)
    rows = [json.loads(line) for line in beside(settings.output, "refused").read_text().splitlines()]
    assert {row["id"]: row["reason"] for row in rows}["t3"] == "not JSON"
    assert {row["id"]: row["raw"] for row in rows}["t1"].startswith("I would rather")
    assert read_json(beside(settings.output, "report", "json"))["refused"] == REASONS


def test_every_pair_says_how_it_was_made(config):
    with serve(lambda body: openai_reply(GOOD)) as (address, _):
        settings = config(address, limit=1)
        generate_edits(settings)
    (pair,) = load_or_raise(settings.output, EditPair)
    details = pair.editor.details
    assert (pair.editor.kind, pair.editor.name) == ("model", "test-model-2026")
    assert (details["mode"], details["prompt_file"], details["raw"]) == ("operations", "operations.txt", GOOD)
    assert (details["reply_id"], details["input_tokens"], details["output_tokens"]) == ("chatcmpl-1", 11, 7)
    assert len(details["prompt_sha256"]) == len(details["request_key"]) == 64
    assert details["cost"] == pytest.approx(81e-6)
    assert pair.spans[0].category == "c"


def test_a_killed_run_pays_only_for_what_is_left_and_ends_the_same(config):
    answered, lock = [], threading.Lock()

    def dying(body):
        with lock:
            answered.append(number_of(body))
            return (500, {}) if len(answered) > 4 else openai_reply(GOOD)

    with serve(dying) as (address, _):
        first = generate_edits(config(address))
    settings = config(address)
    book = beside(settings.output, "replies")
    book.write_bytes(book.read_bytes()[:-20])  # the kill tore the last line
    with serve(lambda body: openai_reply(GOOD)) as (address, seen):
        second = generate_edits(config(address))
    assert (first.fit, len(seen), second.replies_from_before, second.fit) == (4, 8, 3, 11)
    with serve(lambda body: (500, {})) as (address, seen):
        third = generate_edits(config(address))
    assert (third.fit, third.calls, seen) == (11, 0, [])


def test_an_answer_that_cannot_be_used_is_asked_for_again_with_what_was_wrong(config):
    def answer(body):
        return openai_reply(GOOD if len(body["messages"]) > 2 else change("fourth", "4"))

    with serve(answer) as (address, seen):
        report = generate_edits(config(address, attempts=2, limit=2))
    assert (report.fit, report.calls) == (2, 4)
    assert "holds 'fourth' 0 times" in seen[-1]["messages"][-1]["content"]


def test_rewrites_are_read_between_their_marks(config):
    rewritten = response(0).replace("four", "4")
    with serve(lambda body: openai_reply(f"Sure:\n<edited>\n{rewritten}\n</edited>")) as (address, seen):
        settings = config(address, mode="rewrite", limit=1)
        generate_edits(settings)
    assert load_or_raise(settings.output, EditPair)[0].edited == rewritten
    assert "response_format" not in seen[0]


def test_a_judge_has_the_last_word(config):
    with serve(lambda body: openai_reply(GOOD)) as (address, _):
        report = generate_edits(config(address), judge=lambda pair, first, second: "first")
    assert (report.fit, report.refused) == (0, {"judge undecided": 11})


def test_the_input_is_not_written_over(config):
    settings = config("http://127.0.0.1:1")
    with pytest.raises(DataError, match="is the input as well"):
        generate_edits(settings.model_copy(update={"output": settings.responses}))
