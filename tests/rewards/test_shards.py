"""Scores of any number of answers: whole files, the same however the work is shared, killed or begun again."""

import json
import math
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from spanwise.core import ConfigError, DataError
from spanwise.feedback import SegmentScore, SegmentScores, Unscored
from spanwise.rewards import ScoreConfig, shards
from spanwise.text import Span

MIXTURE = {"sources": {"length": {"weight": 0.5}}}


class Length:
    """Pays the first word its length; cannot judge "dumb", and says NaN of "odd"."""

    name, category, density, version = "length", "test", "sub-sentence", "1"

    def __init__(self):
        self.asked = []

    def score(self, samples):
        self.asked.append(len(samples))
        return [self._one(sample.response) for sample in samples]

    def _one(self, text):
        if text == "dumb":
            return SegmentScores(missing=Unscored("it says nothing"))
        end = text.find(" ") if " " in text else len(text)
        return SegmentScores((SegmentScore(Span(0, end), math.nan if text == "odd" else float(end)),))


@pytest.fixture
def source(monkeypatch):
    found = Length()
    monkeypatch.setattr(shards, "configured_sources", lambda config, *, device: [found])
    return found


def write_answers(path, texts):
    path.write_text(
        "".join(json.dumps({"id": f"a{n}", "prompt": "p", "response": t}) + "\n" for n, t in enumerate(texts))
    )


def config(folder, **changes):
    values = {
        "responses": folder / "answers.jsonl",
        "output": folder / "scores",
        "part_size": 3,
        "reward_models": {"unused": {"checkpoint": "unused"}},
        "mixture": MIXTURE,
        **changes,
    }
    return ScoreConfig.from_values(values, place="test")


def run(settings, shard="1/1", begins=lambda total: None, advances=lambda done: None):
    return shards.score_shard(settings, shards.Shard.parse(shard), begins=begins, advances=advances)


def table(settings):
    return [row for path in sorted(settings.output.glob("*.parquet")) for row in pq.read_table(path).to_pylist()]


TEXTS = ["one two", "three", "dumb", "odd", "seventeen", "x y z", "four"]


def test_every_answer_has_its_row(tmp_path, source):
    write_answers(tmp_path / "answers.jsonl", TEXTS)
    settings, told = config(tmp_path), []
    result = run(settings, begins=lambda total: told.append(f"of {total}"), advances=told.append)
    rows = table(settings)
    assert [row["index"] for row in rows] == list(range(7))
    assert [row["id"] for row in rows] == [f"a{n}" for n in range(7)]
    assert [row["reward"] for row in rows] == [1.5, 2.5, None, None, 4.5, 0.5, 2.0]
    assert [row["reward/length"] for row in rows] == [1.5, 2.5, None, None, 4.5, 0.5, 2.0]
    assert rows[0]["segments/length"] == [{"start": 0, "end": 3, "value": 3.0, "unscored": None}]
    assert rows[2]["unscored/length"] == rows[2]["unscored"] == "it says nothing"
    assert rows[3]["segments/length"] == [{"start": 0, "end": 3, "value": None, "unscored": "the score is nan"}]
    assert result.unscored == {"length": 2, "reward": 2}
    assert (result.answers, result.files, result.kept, result.missing) == (7, 3, 0, 0)
    assert told == ["of 7", 3, 3, 1]


def test_without_a_mixture_there_are_scores_and_no_reward(tmp_path, source):
    write_answers(tmp_path / "answers.jsonl", TEXTS[:1])
    run(config(tmp_path, mixture=None))
    assert sorted(table(config(tmp_path))[0]) == ["id", "index", "segments/length", "unscored/length"]


@pytest.mark.parametrize("count", [2, 5])
def test_shards_make_the_same_files_in_any_order(tmp_path, source, count):
    write_answers(tmp_path / "answers.jsonl", TEXTS)
    whole, parts = config(tmp_path, output=tmp_path / "whole"), config(tmp_path, output=tmp_path / "parts")
    run(whole)
    results = [run(parts, f"{number}/{count}") for number in range(count, 0, -1)]
    assert table(parts) == table(whole)
    assert sum(result.answers for result in results) == 7
    assert results[-1].missing == 0
    assert results[0].missing > 0


def test_what_is_there_is_kept_and_what_changed_is_made_again(tmp_path, source):
    write_answers(tmp_path / "answers.jsonl", TEXTS)
    settings = config(tmp_path)
    run(settings)
    source.asked.clear()
    assert run(settings).kept == 3
    assert source.asked == []
    write_answers(tmp_path / "answers.jsonl", [*TEXTS[:4], "mended", *TEXTS[5:], "new"])
    assert run(settings).kept == 1
    assert source.asked == [3, 2]
    assert [row["reward"] for row in table(settings)] == [1.5, 2.5, None, None, 3.0, 0.5, 2.0, 1.5]


def test_a_damaged_file_is_made_again(tmp_path, source):
    write_answers(tmp_path / "answers.jsonl", TEXTS)
    settings = config(tmp_path)
    run(settings)
    before = table(settings)
    damaged = settings.output / "scores-00001.parquet"
    damaged.write_bytes(damaged.read_bytes()[:100])
    assert run(settings).kept == 2
    assert table(settings) == before


def test_memory_holds_a_few_answers_of_a_large_part(tmp_path, source, monkeypatch):
    monkeypatch.setattr(shards, "AT_ONCE", 2)
    write_answers(tmp_path / "answers.jsonl", TEXTS)
    settings = config(tmp_path, part_size=100)
    told = []
    run(settings, advances=told.append)
    assert source.asked == told == [2, 2, 2, 1]
    assert [row["reward"] for row in table(settings)] == [1.5, 2.5, None, None, 4.5, 0.5, 2.0]


PROGRAM = """
import sys
from pathlib import Path
from spanwise.rewards import shards
from rewards.test_shards import {source}, config, run
shards.configured_sources = lambda config, *, device: [{source}()]
shards.AT_ONCE = 2
run(config(Path(sys.argv[1])))
"""


class Fatal(Length):
    """Ends its process when it is asked for the third time."""

    def score(self, samples):
        if len(self.asked) == 2:
            os.kill(os.getpid(), signal.SIGKILL)
        return super().score(samples)


class Slow(Length):
    """Takes its time, so that a signal from outside may come at any moment."""

    def score(self, samples):
        time.sleep(0.002)
        return super().score(samples)


def in_a_process(tmp_path, source):
    tests = Path(__file__).parents[1]
    path = ":".join([str(tests), str(tests.parent), str(tests.parent / "src"), *sys.path])
    program = PROGRAM.format(source=source.__name__)
    return subprocess.Popen(
        [sys.executable, "-c", program, str(tmp_path)], env={"PYTHONPATH": path}, stderr=subprocess.PIPE
    )


def test_a_process_that_is_killed_loses_the_file_in_work_alone(tmp_path, source):
    write_answers(tmp_path / "answers.jsonl", TEXTS)
    settings = config(tmp_path)
    process = in_a_process(tmp_path, Fatal)
    _, said = process.communicate()
    assert process.returncode == -signal.SIGKILL, said.decode()
    assert [path.name for path in settings.output.glob("*.parquet")] == ["scores-00000.parquet"]
    assert len(list(settings.output.glob(".scores-00001.parquet.*"))) == 1
    result = run(settings)
    assert (result.kept, result.files) == (1, 3)
    assert [row["reward"] for row in table(settings)] == [1.5, 2.5, None, None, 4.5, 0.5, 2.0]
    assert list(settings.output.glob(".scores-*")) == []


def test_whenever_a_process_is_killed_what_is_there_is_whole(tmp_path, source):
    """Killed again and again at random moments, it still ends with what one run gives, and no file is made twice."""
    write_answers(tmp_path / "answers.jsonl", [f"{'x' * (n % 7 + 1)} y" for n in range(240)])
    settings, whole, chance = config(tmp_path), config(tmp_path, output=tmp_path / "whole"), random.Random(0)
    run(whole)
    made: dict[str, int] = {}
    for _ in range(3):
        process = in_a_process(tmp_path, Slow)
        wanted = len(made) + chance.randint(1, 15)
        while process.poll() is None and len(list(settings.output.glob("*.parquet"))) < wanted:
            time.sleep(0.001)
        time.sleep(chance.random() * 0.02)
        process.kill()
        process.communicate()
        now = {path.name: path.stat().st_mtime_ns for path in settings.output.glob("*.parquet")}
        assert made.items() <= now.items()
        for name in now:
            assert pq.read_table(settings.output / name).equals(pq.read_table(whole.output / name))
        made = now
    assert 0 < len(made) < 80
    result = run(settings)
    assert (result.kept, result.files) == (len(made), 80)
    assert table(settings) == table(whole)


def test_a_bad_line_is_told_before_anything_is_scored(tmp_path, source):
    write_answers(tmp_path / "answers.jsonl", TEXTS)
    with (tmp_path / "answers.jsonl").open("a") as stream:
        stream.write('\n{"prompt": "p"}\n')
    with pytest.raises(DataError, match=r"answers.jsonl:9: response: is required"):
        run(config(tmp_path))
    assert source.asked == []
    run(config(tmp_path), "1/3")  # whose lines are good
    assert source.asked == [3]


def test_other_scores_are_not_mixed_in(tmp_path, source):
    write_answers(tmp_path / "answers.jsonl", TEXTS)
    run(config(tmp_path))
    with pytest.raises(ConfigError, match=r"manifest.json: the scores there are made with other settings"):
        run(config(tmp_path, mixture={"sources": {"length": {"weight": 0.7}}}))
    source.version = "2"
    with pytest.raises(ConfigError, match="made with other sources"):
        run(config(tmp_path))


def test_one_process_a_shard(tmp_path, source):
    write_answers(tmp_path / "answers.jsonl", TEXTS)
    settings = config(tmp_path)

    def again(total):
        with pytest.raises(ConfigError, match="another process scores shard 1/1 already"):
            run(settings)

    run(settings, begins=again)


@pytest.mark.parametrize("text", ["0/2", "3/2", "1", "a/b", "1/0", "-1/2"])
def test_a_shard_that_is_none(text):
    with pytest.raises(ConfigError, match="not of the form i/n"):
        shards.Shard.parse(text)


def test_no_answers(tmp_path, source):
    (tmp_path / "answers.jsonl").write_text("\n")
    with pytest.raises(DataError, match="holds no records"):
        run(config(tmp_path))
