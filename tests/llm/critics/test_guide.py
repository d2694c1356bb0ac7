"""The configs of docs/guides/critics.md run as they stand, against a server that speaks the protocol."""

import json
import re
from pathlib import Path

import pytest
import yaml
from doubles.critic_server import criticising, sim_answers, truth_of
from typer.testing import CliRunner

from spanwise.cli.feedback import app
from spanwise.core.files import write_jsonl
from spanwise.feedback.files import load_or_raise, write_records
from spanwise.feedback.schema import FeedbackRecord
from spanwise.feedback.scores import Sample
from spanwise.rewards import RewardsConfig, load_pipeline
from spanwise.text import words

pytest.importorskip("openai", reason="the extra `editors` is not installed")
PAGE = Path(__file__).parents[3] / "docs" / "guides" / "critics.md"
BLOCKS = re.findall(r"```yaml\n(.*?)```", PAGE.read_text(), flags=re.DOTALL)


def wrong(reply):
    """The oracle's reply in the categories of the page."""
    return reply | {"marks": [mark | {"category": "wrong"} for mark in reply["marks"]]}


def test_the_critic_of_the_page_marks_answers_and_comments(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    ((item, answer),) = sim_answers(1, seed=2)
    truth = truth_of(item, answer)
    assert truth["marks"]
    Path("critic.yaml").write_text(BLOCKS[0])
    write_jsonl(Path("answers.jsonl"), [{"prompt": "p", "response": answer, "comment": "All of it is wrong."}])
    with criticising(lambda body: wrong(truth)) as server:
        address = f"endpoint.base_url={server.address}/v1"

        def run(*arguments):
            result = CliRunner().invoke(app, [*arguments, address], catch_exceptions=False)
            assert result.exit_code == 0, result.output
            return result.stdout

        said = json.loads(run("critique", "critic.yaml", "--json"))
        (record,) = load_or_raise(Path("marks.jsonl"), FeedbackRecord)
        assert [mark.quote for mark in record.responses[0].spans] == [mark["quote"] for mark in truth["marks"]]
        assert (said["records"], said["calls"]) == (1, 1)
        write_records(Path("people.jsonl"), [record])
        against = run("critique", "critic.yaml", "--against", "people.jsonl", "output=again.jsonl")
        assert "wrong: must not replace; precision 1.00, recall 1.00" in against
        assert "Rule: may replace people" in against
        assert "1 answers" in run("comments", "critic.yaml", "output=comments.jsonl")


def test_the_reward_of_the_page_pays_marks_and_leaves_out_what_is_not_judged(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    values = yaml.safe_load(BLOCKS[1])
    text = "The mill was red. It was tall."
    mark = {"quote": "red", "occurrence": 1, "category": "Unverifiable", "polarity": "negative", "severity": "major"}

    def reply_of(body):
        asked = body["messages"][1]["content"]
        marks = [mark | {"confidence": 0.5}] if text in asked else [mark | {"quote": "blue", "confidence": 1}]
        return {"critique": "c", "marks": marks}

    with criticising(reply_of) as server:
        for source in values["sources"].values():
            source["critic"]["endpoint"]["base_url"] = f"{server.address}/v1"
        pipeline = load_pipeline(RewardsConfig.model_validate(values), device="cpu")
        scores = pipeline([Sample("p", text), Sample("p", "Other.")], [words(text), words("Other.")])
        assert server.asked == 3, "two sources share one critic, and the quote that is not there is asked for again"
    assert {place: value for place, value in enumerate(scores.total[0].tolist()) if value} == {3: -0.5}
    assert scores.dropped.tolist() == [False, True]
