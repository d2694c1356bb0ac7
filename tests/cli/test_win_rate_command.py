import json

import pytest
from doubles.experiment import write_experiment, write_run
from doubles.judge_server import completion, serving
from typer.testing import CliRunner

from spanwise.cli.evaluate import app
from spanwise.core.errors import ConfigError, DataError
from spanwise.feedback.files import load_or_raise
from spanwise.feedback.schema import FeedbackRecord


def run(*words):
    return CliRunner().invoke(app, [str(word) for word in words])


def error(*words):
    found = run(*words).exception
    assert isinstance(found, (ConfigError, DataError))
    assert "\n" not in str(found)
    return str(found)


def annotations(path, shares, model="ours"):
    rows = [
        {
            "instruction": f"q{place}",
            "output_1": "r" * (place + 1),
            "generator_1": "ref",
            "output_2": f"{model} {place}",
            "generator_2": model,
            "annotator": "judge",
            "preference": None if share is None else share + 1,
        }
        for place, share in enumerate(shares)
    ]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(rows), "utf-8")
    return path


def judge_of(server):
    return f"kind: chat\nendpoint:\n  provider: openai\n  model: m\n  base_url: {server.url}/v1\n"


def outputs(path, texts, model):
    rows = [{"instruction": key, "output": text, "generator": model} for key, text in texts.items()]
    path.write_text(json.dumps(rows), "utf-8")
    return path


@pytest.fixture
def files(tmp_path):
    pytest.importorskip("openai")
    own = outputs(tmp_path / "own.json", {f"q{i}": f"longer answer {i}" for i in range(6)}, "own")
    reference = outputs(tmp_path / "ref.json", {f"q{i}": f"short {i}" for i in range(1, 7)}, "ref")
    return tmp_path, own, reference


def test_annotations_give_the_four_numbers(tmp_path):
    path = annotations(tmp_path / "a.json", [1.0, 0.0, 0.5, 1.0, None])
    found = json.loads(run("win-rate", "--annotations", path, "--resamples", 50, "--json").stdout)
    assert (found["n"], found["win_rate"]) == (4, 62.5)
    assert found["standard_error"] == pytest.approx(23.935677693908453)
    assert 0 < found["length_controlled_win_rate"] < 100
    assert found["unscored"] == {"no preference": 1}


def test_in_words_everything_left_out_is_said(tmp_path):
    path = annotations(tmp_path / "a.json", [1.0, 0.0, None])
    shown = run("win-rate", "--annotations", path, "--resamples", 0).stdout
    assert "Win rate 50.00 % ± 50.00." in shown
    assert "Unscored: 1 pairs, no preference." in shown


def test_a_judge_is_asked_and_everything_is_counted(files):
    folder, own, reference = files

    def answer(prompt, _):
        if "longer answer 3" in prompt:
            return completion("What a question!")
        first_is_longer = prompt.index("longer") < prompt.index("short")
        return completion(f"Verdict: {'A' if first_is_longer else 'B'}")

    with serving(answer) as server:
        (folder / "judge.yaml").write_text(judge_of(server) + f"cache: {folder}/replies.jsonl\n", "utf-8")
        words = ["win-rate", "--outputs", own, "--reference", reference, "--judge", folder / "judge.yaml"]
        first = json.loads(run(*words, "--output", folder / "out", "--json", "--resamples", 0).stdout)
        again = json.loads(run(*words, "--json", "--resamples", 0).stdout)
    assert (first["n"], first["win_rate"], first["wins"]) == (4, 100.0, 4)
    assert first["unscored"] == {"the judge gave no verdict": 1}
    assert first["mismatch"] == {"in the reference only": 1, "in the outputs only": 1}
    assert first["usage"] == {"calls": 10, "prompt_tokens": 1000, "completion_tokens": 100, "cost": 0.0}
    assert first["position_bias"]["consistent"] == 1.0
    assert (again["win_rate"], again["usage"]["calls"]) == (100.0, 0)
    assert len(server.prompts) == 10
    kept = run("win-rate", "--annotations", folder / "out" / "annotations.json", "--resamples", 0, "--json").stdout
    assert json.loads(kept)["win_rate"] == 100.0
    assert (folder / "out" / "leaderboard.csv").read_text("utf-8").splitlines()[1].startswith("own,100.0,0.0,4,0,0,4")


def test_pairs_are_exported_for_people(files):
    folder, own, reference = files
    words = ["win-rate", "--outputs", own, "--reference", reference, "--export-pairs", folder / "pairs.jsonl", "--json"]
    assert json.loads(run(*words).stdout)["pairs"] == 5
    assert len(load_or_raise(folder / "pairs.jsonl", FeedbackRecord)) == 5


def test_what_does_not_go_together_is_told(files):
    folder, own, reference = files
    assert "either --annotations" in error("win-rate")
    assert "--reference" in error("win-rate", "--outputs", own)
    assert "--judge" in error("win-rate", "--outputs", own, "--reference", reference)
    assert "judged already" in error("win-rate", "--annotations", own, "--reference", reference)
    assert "cannot be read" in error("win-rate", "--annotations", folder / "absent.json")
    (folder / "judge.yaml").write_text("kind: oracle\nmodle: x\n", "utf-8")
    words = ["win-rate", "--outputs", own, "--reference", reference, "--judge", folder / "judge.yaml"]
    assert "did you mean model" in error(*words)


def test_a_judge_that_says_nothing_usable_is_an_error_that_counts(files):
    folder, own, reference = files
    with serving(lambda *_: completion("Hm.")) as server:
        (folder / "judge.yaml").write_text(judge_of(server), "utf-8")
        told = error("win-rate", "--outputs", own, "--reference", reference, "--judge", folder / "judge.yaml")
    assert "the judge gave no verdict (5)" in told


def test_runs_are_compared_with_the_first(tmp_path):
    first = annotations(tmp_path / "base" / "annotations.json", [0.0, 0.5, 0.0, 0.0], "base").parent
    second = annotations(tmp_path / "new.json", [1.0, 0.5, 1.0, 1.0], "new")
    found = json.loads(run("compare", first, second, "--json").stdout)
    assert found["models"]["new"]["win_rate"] == 87.5
    assert found["comparisons"][0]["difference"] == pytest.approx(75)
    controlled = found["comparisons"][0]["length_controlled"]
    assert controlled["low"] <= controlled["difference"] <= controlled["high"]
    shown = run("compare", first, second).stdout
    assert "new less base: +75.00 points" in shown
    assert "new less base at equal length: +" in shown


def test_experiments_are_laid_side_by_side(tmp_path):
    for name in ("one", "two"):
        write_experiment(tmp_path / name, seeds=(0, 1), prompts=6, steps=2)
    found = json.loads(run("compare", tmp_path / "one", tmp_path / "two", "--json").stdout)["arms"]
    assert {name.partition(":")[0] for name in found} == {"one", "two"}
    assert all(row["seeds"] == 2 and row["metrics"] for row in found.values())


def test_runs_of_two_kinds_and_single_runs_are_refused(tmp_path):
    first = annotations(tmp_path / "a.json", [1.0])
    assert "two runs or more" in error("compare", first)
    (tmp_path / "run").mkdir()
    assert "one kind" in error("compare", first, tmp_path / "run")


def test_help_of_the_group_names_its_commands():
    shown = run("--help").stdout
    assert all(word in shown for word in ("answers", "win-rate", "compare", "responses"))
    assert "requests_per_minute" in run("win-rate", "--help").stdout


def test_judged_folders_are_compared_and_reported(tmp_path):
    first = annotations(tmp_path / "first" / "annotations.json", [1.0, 0.0, 0.5, 1.0, None], model="one")
    annotations(tmp_path / "second" / "annotations.json", [0.0, 0.0, 0.5, 1.0, 0.0], model="two")
    shown = run("compare", first.parent, tmp_path / "second", "--resamples", 100, "--output", tmp_path / "both").stdout
    assert "one: 1 pairs are unscored, no preference." in shown
    results = json.loads((tmp_path / "both" / "results.json").read_text())
    assert list(results["arms"]) == ["one", "two"]
    assert "one: 1 pairs are unscored, no preference." in results["notes"]


def test_generated_answers_are_judged_with_their_passages(tmp_path):
    pytest.importorskip("openai")
    passages = [[{"title": f"T{n}", "sentences": [f"Fact {n}."]}] for n in (0, 1)]
    prompts = [{"id": str(n), "prompt": "where?", "passages": passages[n]} for n in (0, 1)]
    rows = [{"id": str(n), "sample": 0, "prompt": "where?", "response": f"own {n}"} for n in (0, 1)]
    for name, own in (("prompts", prompts), ("own", rows), ("ref", [row | {"response": "other"} for row in rows])):
        (tmp_path / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in own), "utf-8")
    with serving(lambda prompt, _: completion("Verdict: tie")) as server:
        (tmp_path / "judge.yaml").write_text(judge_of(server), "utf-8")
        files = ("--outputs", tmp_path / "own.jsonl", "--reference", tmp_path / "ref.jsonl")
        more = ("--prompts", tmp_path / "prompts.jsonl", "--judge", tmp_path / "judge.yaml")
        words = ("win-rate", *files, *more, "--output", tmp_path / "out", "--resamples", 50, "--json")
        found = json.loads(run(*words).stdout)
    assert (found["n"], found["win_rate"], len(server.prompts)) == (2, 50.0, 4)
    assert sum("T0: Fact 0." in text for text in server.prompts) == 2
    results = json.loads((tmp_path / "out" / "results.json").read_text())
    assert results["command"].endswith(f"--prompts {tmp_path}/prompts.jsonl --judge {tmp_path}/judge.yaml")


def test_plain_runs_are_compared_seed_by_seed(tmp_path):
    folders = []
    for drift in (1.0, 2.0):
        for seed in (0, 1):
            folders.append(tmp_path / f"drift{drift:g}" / f"seed-{seed}")
            write_run(folders[-1], seed=seed, drift=drift)
    found = json.loads(run("compare", *folders, "--json").stdout)
    assert list(found["runs"]) == ["drift1", "drift2"]
    assert list(found["differences"]) == ["drift2 less drift1"]
    assert all(own["seeds"] == 2 for own in found["differences"]["drift2 less drift1"].values())
    assert "drift2 less drift1" in run("compare", *folders).stdout
