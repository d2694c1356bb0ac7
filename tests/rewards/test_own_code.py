"""Functions, endpoints and classes of one's own: the examples of docs/guides/own_code.md, run as they stand there."""

import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
import yaml
from doubles.rl_world import SMALL, small_trainer, word_policy
from typer.testing import CliRunner

from spanwise.cli import app
from spanwise.core.errors import ConfigError, ScoringError
from spanwise.feedback.files import load_or_raise
from spanwise.feedback.prompts import PromptRecord
from spanwise.feedback.schema import FeedbackRecord
from spanwise.feedback.scores import Sample, Unscored
from spanwise.rewards.foreign.config import SourceConfig
from spanwise.rewards.sources import foreign_sources
from spanwise.rl.algorithms.registry import make_algorithm
from spanwise.rl.config import RLConfig, TrainerConfig
from spanwise.text.segments import get_segmenter

PAGE = Path(__file__).parents[2] / "docs" / "guides" / "own_code.md"


@pytest.fixture(name="modules", autouse=True)
def the_pages_modules(tmp_path, monkeypatch):
    """Every program of the page as the module that its first line names."""
    for program in re.findall(r"```python\n(.*?)```", PAGE.read_text(), flags=re.DOTALL):
        name = program.split("\n", 1)[0].removeprefix("# module ")
        (tmp_path / f"{name}.py").write_text(program)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def of_the_page(name):
    """The settings of a source that the page shows."""
    shown = [yaml.safe_load(text) for text in re.findall(r"```yaml\n(.*?)```", PAGE.read_text(), flags=re.DOTALL)]
    sources = {key: value for one in shown for key, value in one["sources"].items()}
    return SourceConfig.from_values(sources[name], place=name)


def scores_of(config, *samples):
    (source,) = foreign_sources({"mine": config})
    assert source.name == "mine"
    return source.score(samples)


def test_all_configs_of_the_page_are_valid():
    for text in re.findall(r"```yaml\n(.*?)```", PAGE.read_text(), flags=re.DOTALL):
        for name in yaml.safe_load(text)["sources"]:
            of_the_page(name)


def test_a_class_scores_spans():
    text = "You stupid, stupid fox."
    (scores,) = scores_of(of_the_page("rude"), Sample("hi", text))
    assert [(score.span.of(text), score.value) for score in scores.scores] == [("stupid", -1.0)] * 2


def test_a_function_of_trls_kind_scores_texts_and_conversations(modules):
    said, silent = scores_of(of_the_page("brevity"), Sample("hi", "one two"), Sample("hi", ""))
    assert said.scores[0].value == -0.02
    assert isinstance(silent.missing, Unscored)
    program = "def see(prompts, completions, right, **_):\n"
    program += (
        "    assert prompts[0][0]['role'] == 'user' and completions[0][0]['content'] == 'yes'\n    return right\n"
    )
    (modules / "conversing.py").write_text(program)
    record = PromptRecord(messages=[{"role": "user", "content": "hi"}])
    sample = Sample.of(record, "yes", metadata={"right": 3})
    assert scores_of(SourceConfig(kind="function", function="conversing:see"), sample)[0].scores[0].value == 3.0


@pytest.mark.parametrize(
    ("gives", "reason"),
    [
        ("[1.0]", "gave 1 scores for 2 responses"),
        ("['x', 1]", "'x', which is no score"),
        ("[float('nan'), 1]", "nan, which is no score"),
    ],
)
def test_a_function_that_gives_no_scores_stops_the_run(modules, gives, reason):
    name = f"bad_{abs(hash(gives))}"
    (modules / f"{name}.py").write_text(f"def f(prompts, completions):\n    return {gives}\n")
    with pytest.raises(ScoringError, match=reason):
        scores_of(SourceConfig(kind="function", function=f"{name}:f"), Sample("a", "b"), Sample("a", "c"))


@contextmanager
def serving(*replies) -> Iterator[tuple[str, list]]:
    """An endpoint that gives the replies in turn, the last one for ever; and what it was asked."""
    asked = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            asked.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            status, body = replies[min(len(asked), len(replies)) - 1]
            self.send_response(status)
            self.end_headers()
            self.wfile.write(json.dumps(body).encode())

        def log_message(self, *_):
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/score", asked
    finally:
        server.shutdown()
        server.server_close()


def test_an_endpoint_scores_responses_and_their_parts():
    parts = [{"start": 0, "end": 3, "value": -1}]
    with serving((503, {}), (200, {"scores": [0.5, None, parts]})) as (url, asked):
        whole, none, marked = scores_of(
            SourceConfig(kind="http", url=url), *(Sample("q", text) for text in ("a", "b", "cow x"))
        )
    assert whole.scores[0].value == 0.5
    assert isinstance(none.missing, Unscored)
    assert [(score.span.of("cow x"), score.value) for score in marked.scores] == [("cow", -1.0)]
    assert asked[-1] == {"prompts": ["q"] * 3, "completions": ["a", "b", "cow x"], "passages": [[], [], []]}


def test_an_endpoint_that_is_not_there_scores_nothing_and_one_that_answers_nonsense_stops_the_run():
    with serving((200, {})) as (url, _):
        pass
    (scores,) = scores_of(SourceConfig(kind="http", url=url, retries=0), Sample("q", "a"))
    assert "cannot be reached" in scores.missing.reason
    for reply, reason in (
        ((200, {"scores": [1, 2]}), "answered no list of 1 scores"),
        ((400, {}), "the service answered 400"),
    ):
        with serving(reply) as (url, _), pytest.raises(ScoringError, match=reason):
            scores_of(SourceConfig(kind="http", url=url, retries=0), Sample("q", "a"))


def test_a_segmenter_of_ones_own_parts_a_text():
    text = "one\ntwo\n\nthree\n"
    assert [span.of(text) for span in get_segmenter("my_lines:lines")(text)] == ["one\n", "two\n", "\n", "three\n"]
    assert get_segmenter("my_lines:lines")("") == ()
    with pytest.raises(ConfigError, match=r"Unknown segmenter 'nonsense'; use one of .* or my.module:function"):
        get_segmenter("nonsense")


def test_an_algorithm_of_ones_own_trains_as_its_base_does(modules):
    config = TrainerConfig.from_values({**SMALL, "algorithm": "my_algorithm:Plain"}, place="test")
    assert type(make_algorithm(config)).__name__ == "Plain"
    own = small_trainer(modules / "own", policy=word_policy(), algorithm="my_algorithm:Plain").run()
    assert own == small_trainer(modules / "ppo", policy=word_policy()).run()
    with pytest.raises(ConfigError, match="neither a known name nor an import path"):
        TrainerConfig.from_values({"algorithm": "pppo"}, place="test")


def test_a_judge_of_ones_own_compares(modules):
    for name, text in (("ours", "short"), ("theirs", "much longer")):
        rows = [{"id": str(number), "prompt": f"q{number}", "response": text} for number in range(4)]
        (modules / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (modules / "judge.yaml").write_text("kind: class\nclass: my_judge:Shorter\n")
    files = ["--outputs", "ours.jsonl", "--reference", "theirs.jsonl"]
    words = ["evaluate", "win-rate", *files, "--judge", "judge.yaml", "--resamples", "0", "--json"]
    result = CliRunner().invoke(app, words, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["win_rate"] == 100.0


def test_a_reader_of_ones_own_converts(modules):
    (modules / "data.tsv").write_text("where?\tin Oslo\nwhen?\tin 1912\n")
    words = ["feedback", "convert", "data.tsv", "--from", "my_format:read", "--to", "spanwise", "-o", "out.jsonl"]
    result = CliRunner().invoke(app, words, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    assert [record.responses[0].text for record in load_or_raise(modules / "out.jsonl", FeedbackRecord)] == [
        "in Oslo",
        "in 1912",
    ]


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("no_such_module:X", "no_such_module cannot be imported .ModuleNotFoundError"),
        ("bad_words:Missing", "bad_words has no Missing"),
        ("my_lines:lines", "cannot be made with options"),
        ("builtins:object", "has no name, category, density, version, score, which every reward source has"),
    ],
)
def test_code_that_cannot_be_had_is_named(path, reason):
    with pytest.raises(ConfigError, match=reason):
        foreign_sources({"mine": SourceConfig(kind="class", class_=path)})


def test_a_source_is_of_one_kind(tmp_path):
    for wrong in ({"kind": "reward"}, {"kind": "http", "model": "x"}, {"kind": "steps", "model": "x"},
                  {"kind": "reward", "model": "x", "density": "sentence"}):  # fmt: skip
        with pytest.raises(ConfigError):
            SourceConfig.from_values(wrong, place="test")
    values = {
        "policy": "p", "prompts": "p", "heldout": "h", "run_dir": str(tmp_path), "mixture": {"sources": {"rude": {}}},
        "sources": {"rude": {"kind": "class", "class": "bad_words:BadWords", "options": {"words": ["x"]}}},
    }  # fmt: skip
    config = RLConfig.from_values(values, place="test")
    config.save(tmp_path / "config.yaml")
    assert "class: bad_words:BadWords" in (tmp_path / "config.yaml").read_text()
    assert RLConfig.load(tmp_path / "config.yaml") == config
