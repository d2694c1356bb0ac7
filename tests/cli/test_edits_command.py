import json

import pytest
from doubles.llm_server import openai_reply, serve
from tokenizers import Tokenizer, models, pre_tokenizers
from typer.testing import CliRunner

from spanwise.cli.edits import app
from spanwise.core.errors import ConfigError, DataError
from spanwise.core.files import write_jsonl
from spanwise.feedback.edits import EditPair, edit_pair
from spanwise.feedback.files import load_or_raise, write_records

LONG = "one two three four five six seven eight nine ten"


@pytest.fixture
def run():
    def call(*arguments, code=0):
        result = CliRunner().invoke(app, [str(argument) for argument in arguments], catch_exceptions=False)
        assert result.exit_code == code, result.output
        return result

    return call


@pytest.fixture
def pairs(tmp_path):
    path = tmp_path / "pairs.jsonl"
    good = edit_pair(LONG, LONG.replace("four", "4"), id="good")
    write_records(path, [good, edit_pair("a", "a", id="same"), edit_pair(LONG, "", id="void")])
    return path


def test_align_takes_texts_and_files(run, tmp_path):
    path = tmp_path / "original.txt"
    path.write_text("The cat sat.\r\nIt slept.\n")
    found = json.loads(run("align", path, "The dog sat.\nIt slept.", "--json").stdout)
    assert (found["method"], found["changes"], found["changed_words"]) == (
        "matching-blocks", 1, {"original": 1, "edited": 1}
    )  # fmt: skip
    assert found["parts"][1] == {
        "kind": "replace",
        "original": {"start": 4, "end": 7, "text": "cat"},
        "edited": {"start": 4, "end": 7, "text": "dog"},
    }


@pytest.mark.parametrize(
    ("method", "shown"),
    [
        ("matching-blocks", "a [-b -]c d e"),
        ("levenshtein", "a [-b -]c d e"),
        ("positional", "a [-b c d e-]{+c d e+}"),
    ],
)
def test_align_shows_what_went_and_came(run, method, shown):
    assert run("align", "a b c d e", "a c d e", "--method", method).stdout.splitlines()[0] == shown


def test_align_writes_a_page_and_cannot_be_steered(run, tmp_path):
    shown = run("align", "a \x1b[31mb", "a c", "--html", tmp_path / "page.html").stdout
    assert "\x1b" not in shown
    assert "<ins>c</ins>" in (tmp_path / "page.html").read_text()


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (("absent.txt", "a"), "there is no such file"),
        (("a.json", "b.json"), r"a\.json: there is no such file"),
        (("a", "b", "--method", "diff"), "Unknown method"),
        (("a", "b", "--unit", "line"), "Unknown unit"),
        (("a\0", "b"), "NUL at character 1"),
    ],
)
def test_align_names_what_it_cannot_do(run, arguments, error):
    with pytest.raises((DataError, ConfigError), match=error):
        run("align", *arguments)


def test_stats_count_pairs_and_name_bad_lines(run, pairs):
    found = json.loads(run("stats", pairs, "--json").stdout)
    assert (found["pairs"], found["identical"], found["rejected"]) == (3, 1, 0)
    assert "3 pairs, 1 of them identical" in run("stats", pairs).stdout
    pairs.write_text(pairs.read_text() + '{"original": "x"}\n')
    bad = run("stats", pairs, code=2)
    assert f"{pairs}:4: edited: is required" in bad.stderr.replace("\n", "")


def test_validate_keeps_the_fit_and_says_why_the_others_are_not(run, pairs, tmp_path):
    output, page = tmp_path / "fit.jsonl", tmp_path / "page.html"
    found = json.loads(run("validate", pairs, "--output", output, "--html", page, "--json").stdout)
    assert (found["fit"], found["counts"], found["fingerprint"]) == (1, {"identical": 1, "empty": 1}, None)
    assert [pair.id for pair in load_or_raise(output, EditPair)] == ["good"]
    assert page.read_text().count("refused: ") == 2
    shown = run("validate", pairs, "max_changed=0.05").stdout
    assert "0 of 3 pairs are fit" in shown
    assert "pair 1 (good): over budget: 10% of the words changed" in shown


def test_validate_with_a_window_counts_tokens(run, pairs, tmp_path):
    words = {word: k for k, word in enumerate([*LONG.split(), "4", "?"])}
    tokenizer = Tokenizer(models.WordLevel(words, unk_token="?"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    for window, fit in ((3, 0), (4, 1)):
        found = run("validate", pairs, f"window={window}", "--tokenizer", tmp_path, "--json")
        assert json.loads(found.stdout)["fit"] == fit


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (("window=9",), "belong together"),
        (("budget=9",), "unknown key budget"),
        (("max_changed",), "not of the form key=value"),
        (("max_changed=lots",), "max_changed"),
    ],
)
def test_validate_refuses_rules_that_are_none(run, pairs, arguments, error):
    with pytest.raises(ConfigError, match=error):
        run("validate", pairs, *arguments)


def test_generate_runs_an_editor(run, tmp_path):
    write_jsonl(tmp_path / "answers.jsonl", [{"prompt": "Count.", "response": LONG}])
    (tmp_path / "editor.yaml").write_text(
        f"responses: {tmp_path}/answers.jsonl\noutput: {tmp_path}/pairs.jsonl\nmode: rewrite\n"
        "endpoint:\n  provider: openai\n  model: m\n"
    )
    with serve(lambda body: openai_reply(f"<edited>{LONG.replace('two', '2')}</edited>")) as (address, _):
        shown = run("generate", tmp_path / "editor.yaml", f"endpoint.base_url={address}/v1").stdout
    assert shown.splitlines() == [
        f"Wrote 1 fit edit pairs of 1 responses to {tmp_path}/pairs.jsonl.",
        "1 calls, 0 replies from before; 11 input and 7 output tokens.",
    ]
    again = json.loads(run("generate", tmp_path / "editor.yaml", "endpoint.base_url=http://x/v1", "--json").stdout)
    assert (again["calls"], again["fit"], again["replies_from_before"]) == (0, 1, 1)
