"""The small inputs that once went wrong, beside the checkout: each behaves as its page says it should."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from spanwise.cli import app
from spanwise.core import SpanwiseError
from spanwise.feedback.formats import load_feedback, read_edits, read_feedback
from spanwise.feedback.statistics import fingerprint, validate_edits

CASES = Path(__file__).parents[2] / ".." / "shared" / "cases"
pytestmark = pytest.mark.skipif(not CASES.is_dir(), reason="the shared cases are not at hand")


def run(*words):
    """Exit code and everything said, errors as the command line tells them."""
    done = CliRunner().invoke(app, [*map(str, words)])
    if isinstance(done.exception, SpanwiseError):
        return 2, str(done.exception)
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    return done.exit_code, done.output


def answers(name, form):
    result = read_feedback(CASES / name, form)
    return result, [response for record in result.records for response in record.responses]


@pytest.mark.parametrize(("name", "words"), [
    ("ls_json_min.json", "JSON-MIN; export the full JSON there"),
    ("hh_rlhf.jsonl", "--from hh-rlhf"),
    ("trl_preference.jsonl", "a TRL preference file"),
    ("trl_stepwise.jsonl", "a TRL stepwise file"),
    ("messages_demo.jsonl", "a file of chat messages"),
    ("lfs_pointer.jsonl", "a Git LFS pointer: the file itself was not downloaded"),
    ("chinese_pairs.jsonl", "a file of edit pairs of Spanwise; `spanwise edits` reads them"),
    ("chat_prompt.jsonl", "a file of prompts"),
])  # fmt: skip
def test_files_of_other_kinds_are_named(name, words):
    code, said = run("feedback", "validate", CASES / name)
    assert (code, words in said, "unknown key" in said) == (2, True, False), said


@pytest.mark.parametrize("form", ["spanwise", "label-studio", "argilla", "doccano", "thresh", "qa-feedback", "pairs"])
def test_a_pointer_is_named_by_every_reader(form):
    with pytest.raises(SpanwiseError, match="Git LFS pointer"):
        read_feedback(CASES / "lfs_pointer.jsonl", form)


@pytest.mark.parametrize(("name", "form", "unread"), [
    ("ls_choices_only.json", "label-studio", {"choices": 1}),
    ("ls_image_task.json", "label-studio", {"rectanglelabels": 1}),
    ("thresh_errors_without_place.json", "thresh", {"errors without a place": 2}),
    ("doccano_classification.jsonl", "doccano", {"labels without a place": 2}),
    ("argilla_ranking_rating.json", "argilla", {"answers to ranking": 1}),
])  # fmt: skip
def test_what_is_not_read_is_counted_and_never_clean(name, form, unread):
    result, responses = answers(name, form)
    assert result.unread == unread
    assert not any(response.marked or response.correction for response in responses)
    assert run("feedback", "validate", CASES / name, "--format", form)[0] == 2


@pytest.mark.parametrize(("name", "form", "quote"), [
    ("ls_hypertextlabels.json", "label-studio", "1890"),
    ("doccano_old_jsonl.jsonl", "doccano", "Brack"),
    ("doccano_chinese_emoji_utf16.jsonl", "doccano", "苹果"),
])  # fmt: skip
def test_marks_sit_on_their_words(name, form, quote):
    result, responses = answers(name, form)
    assert [mark.quote for response in responses for mark in response.spans] == [quote]
    assert (result.problems, result.unread) == ([], {})


def test_pairs_become_preferences():
    (record,) = load_feedback(CASES / "ls_pairwise.json", "label-studio")
    assert [response.text for response in record.responses] == ["In Norway.", "In Peru."]
    assert record.preferences[0].winner == "first"
    for name in ("trl_preference.jsonl", "hh_rlhf.jsonl"):
        (record,) = load_feedback(CASES / name, "trl-preference")
        assert (record.prompt, record.responses[1].text) == ("Where is Oslo?", "In Peru.")


@pytest.mark.parametrize("form", ["spanwise", "label-studio", "argilla", "doccano", "thresh"])
def test_six_records_come_back_from_every_format(form, tmp_path):
    output = tmp_path / "f"
    assert run("feedback", "convert", CASES / "six_records.jsonl", "--to", form, "-o", output)[0] == 0
    assert load_feedback(output, form) == load_feedback(CASES / "six_records.jsonl")


def test_one_changed_chinese_word_is_the_word_alone():
    (pair,) = read_edits(CASES / "chinese_pairs.jsonl").records
    code, said = run("edits", "align", pair.original, pair.edited, "--json")
    parts = [part for part in json.loads(said)["parts"] if part["kind"] != "keep"]
    assert (code, [(part["original"]["text"], part["edited"]["text"]) for part in parts]) == (0, [("苹果", "香蕉")])
    assert validate_edits([pair]).counts == {}


def test_repeated_edits_give_no_editor_away():
    style = fingerprint(read_edits(CASES / "repeated_edited.jsonl").records)
    assert style is None or not style.suspicious


def test_alpaca_files_are_asked_with_their_input(tmp_path):
    both = "--outputs", CASES / "alpaca_input_a.json", "--reference", CASES / "alpaca_input_b.json"
    assert run("evaluate", "win-rate", *both, "--export-pairs", tmp_path / "p.jsonl")[0] == 0
    (record,) = load_feedback(tmp_path / "p.jsonl")
    assert "Oslo is the capital of Norway." in record.prompt
    same = "--outputs", CASES / "alpaca_input_a.json", "--reference", CASES / "alpaca_input_a.json"
    assert "compared with itself" in run("evaluate", "win-rate", *same, "--export-pairs", tmp_path / "q.jsonl")[1]
