"""A format that has a reader is read by every command, one that has a writer is written by every command."""

import json
import tarfile

import pytest
from doubles import foreign
from doubles.feedback import small_item, small_record
from typer.testing import CliRunner

from spanwise.cli import app
from spanwise.core.errors import ConfigError
from spanwise.feedback.edits import EditPair, edit_pair
from spanwise.feedback.files import load_or_raise, write_records
from spanwise.feedback.formats.registry import FORMATS, names_of_formats
from spanwise.feedback.schema import FeedbackRecord, Response, mark

TEXT = "The mill was built in 1890."
CORRECTED = TEXT.replace("1890", "1850")
MARKED = Response(text=TEXT, marked=True, spans=(mark(TEXT, 22, 26, "x"),), correction=CORRECTED)
RECORD = FeedbackRecord(id="a", prompt="When?", responses=(MARKED,))
WORDS = {"start": 22, "end": 26}
EXAMPLES = {
    "spanwise": RECORD.model_dump(mode="json"),
    "qa-feedback": [small_item()],
    "argilla": [{
        "id": "a", "fields": {"prompt": "When?", "response": TEXT}, "metadata": {},
        "responses": {
            "errors": [{"value": [{"label": "x", **WORDS}], "user_id": "u"}],
            "correction": [{"value": CORRECTED, "user_id": "u"}],
        },
    }],
    "label-studio": [{
        "id": 3, "data": {"prompt": "When?", "text": TEXT},
        "annotations": [{"completed_by": 5, "result": [
            {"type": "labels", "to_name": "text", "value": {**WORDS, "text": "1890", "labels": ["x"]}},
            {"type": "textarea", "from_name": "correction", "to_name": "text", "value": {"text": [CORRECTED]}},
        ]}],
    }],
    "doccano": {"id": 4, "text": TEXT, "label": [CORRECTED]},
    "thresh": [{
        "source": "", "target": TEXT,
        "edits": [{"category": "replacement", "output_idx": [[22, 26]], "annotation": {"correction": "1850"}}],
    }],
    "table": f"prompt,response,marks,correction\nWhen?,{TEXT},1890,{CORRECTED}\n",
    "toxic-spans": 'spans,text\n"[4, 5, 6, 7]",The mill was built.\n',
    "pairs": edit_pair(TEXT, CORRECTED).model_dump(mode="json"),
    "trl-preference": {"prompt": "When?", "chosen": CORRECTED, "rejected": TEXT, "source": "correction"},
    "mlqe-pe": {"a.mt": TEXT, "a.pe": CORRECTED, "a.src": "Wann?"},
    **{form: rows[0] for form, rows in foreign.ROWS.items()},
    "helpsteer": foreign.ROWS["helpsteer"][4],
    "hh-rlhf": foreign.ROWS["hh-rlhf"][0],
    "sharegpt": foreign.ROWS["sharegpt"][1],
    "alpaca": foreign.ROWS["alpaca"][1],
    "mqm": foreign.TEXTS["mqm"].split("a\td\t1\t1\tr2")[0],
    "m2": foreign.TEXTS["m2"].split("A 1 2")[0],
    "haluquestqa": foreign.TEXTS["haluquestqa"].replace("[True]", "[False]"),
    "inline": foreign.TEXTS["inline"].split("\n")[0],
    **foreign.DOCUMENTS,
    "webanno": foreign.TEXTS["webanno"],
    "brat": None,
    "potato": None,
}  # fmt: skip
"""A tiny file of every format that is read."""


def run(*arguments, code=0):
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    if isinstance(result.exception, ConfigError):
        raise result.exception
    assert result.exit_code == code, result.output
    return result


def written(form, folder):
    """The tiny file of a format; the one format that is a folder becomes an archive, which can be uploaded as well."""
    path, value = folder / "example", EXAMPLES[form]
    if form == "mlqe-pe":
        for name, line in value.items():
            (folder / name).write_text(f"{line}\n")
        with tarfile.open(folder / "a.tar.gz", "w:gz") as archive:
            for name in value:
                archive.add(folder / name, name)
        return folder / "a.tar.gz"
    if form == "brat":
        return foreign.written(form, folder) / "a.ann"
    if form == "potato":
        project = foreign.written(form, folder)
        (project / "items.jsonl").write_text(json.dumps(foreign.POTATO_ITEMS[0]))
        (project / "annotation_output" / "u2" / "user_state.json").unlink()
        state = project / "annotation_output" / "u1" / "user_state.json"
        said = json.loads(state.read_text())
        del said["instance_id_to_span_to_value"]["c"]
        state.write_text(json.dumps(said))
        return project / "config.yaml"
    path.write_text(value if isinstance(value, str) else json.dumps(value))
    return path


LOST = {
    "label-studio-min": ("answers to rating",), "brat": ("attributes",),
    "webanno": ("relations", "annotations of the layer POS"),
    "uima-cas": ("relations", "annotations of the layer POS", "annotations without a length"),
}  # fmt: skip
NOT_READ = {form: [part for kind in kinds for part in ("--allow-loss", kind)] for form, kinds in LOST.items()}
"""What the tiny files hold that no record does."""
WITHOUT_EDITS = ("hh-rlhf", "sharegpt", "alpaca")
"""Formats whose edits are only written: read, they are preferences."""


def test_every_reader_has_an_example():
    assert set(EXAMPLES) == set(names_of_formats("read"))


@pytest.mark.parametrize("form", EXAMPLES)
def test_a_reader_is_there_in_every_command(form, tmp_path):
    path, output, allowed = written(form, tmp_path), tmp_path / "out.jsonl", NOT_READ.get(form, [])
    figures = json.loads(run("feedback", "stats", path, "--format", form, "--json", *allowed).stdout)
    assert (figures["items"], figures["rejected"]) == (1, 0)
    assert "1 good record, 0 bad" in run("feedback", "validate", path, "--format", form, *allowed).stdout
    run("feedback", "convert", path, "--from", form, "--to", "spanwise", "--output", output, *allowed)
    (record,) = load_or_raise(output, FeedbackRecord)
    judged = any(r.spans or r.correction is not None for r in record.responses) or bool(record.preferences)
    assert judged or any(response.ratings for response in record.responses) or FORMATS[form].holds == ("answers",)
    into = ("annotate", "import", tmp_path / "p", path, "--from", form, "--preset", "qa-feedback", "--json")
    report = json.loads(run(*into, *allowed).stdout)
    assert (report["items"], report["annotations"], report["rejected"]) == (1, int(judged), 0)


@pytest.mark.parametrize("form", [form for form in names_of_formats("read as edits") if form not in WITHOUT_EDITS])
def test_every_format_that_holds_edits_is_read_as_edits(form, tmp_path):
    path, output = written(form, tmp_path), tmp_path / "out.jsonl"
    allowed = NOT_READ.get(form, [])
    assert json.loads(run("edits", "stats", path, "--format", form, "--json", *allowed).stdout)["pairs"] == 1
    run("edits", "export", path, "--format", form, "--to", "pairs", "--output", output, *allowed)
    (pair,) = load_or_raise(output, EditPair)
    assert pair.edited
    assert pair.original != pair.edited


def test_a_format_without_edits_and_one_that_is_only_written_are_refused(tmp_path):
    path = written("toxic-spans", tmp_path)
    with pytest.raises(ConfigError, match="'toxic-spans' is no format that can be read as edits; choose one of"):
        run("edits", "stats", path, "--format", "toxic-spans")
    with pytest.raises(ConfigError, match="'trl-prompts' is no format that can be read; choose one of spanwise,"):
        run("feedback", "stats", path, "--format", "trl-prompts")
    with pytest.raises(ConfigError, match="'mlqe-pe' is no format that can be written; choose one of"):
        run("feedback", "convert", path, "--from", "toxic-spans", "--to", "mlqe-pe", "--output", tmp_path / "o")


@pytest.mark.parametrize("form", names_of_formats("written"))
def test_a_writer_is_there_in_every_command(form, tmp_path):
    (tmp_path / "items.json").write_text(json.dumps([small_item()]))
    run("feedback", "convert", tmp_path / "items.json", "--from", "qa-feedback", "--to", form, "-o", tmp_path / "a")
    run(
        "annotate",
        "import",
        tmp_path / "p",
        tmp_path / "items.json",
        "--from",
        "qa-feedback",
        "--preset",
        "qa-feedback",
    )
    run("annotate", "export", tmp_path / "p", tmp_path / "b", "--to", form)
    assert (tmp_path / "a").read_bytes()
    assert (tmp_path / "b").read_bytes()


def test_convert_says_what_was_left_out_as_export_does(tmp_path):
    write_records(tmp_path / "a.jsonl", [small_record()])
    done = run("feedback", "convert", tmp_path / "a.jsonl", "--to", "trl-unpaired", "--output", tmp_path / "b")
    assert "Wrote 1 record to" in done.stdout
    assert done.stderr == "left out  responses that nobody marked: 1\n"
    summary = run("feedback", "convert", tmp_path / "a.jsonl", "--to", "pairs", "-o", tmp_path / "c", "--json").stdout
    assert json.loads(summary)["left_out"] == {"responses that nobody corrected": 1}


def test_help_lists_the_formats_of_the_table(monkeypatch):
    monkeypatch.setenv("COLUMNS", "900")
    for command, use in (
        (("feedback", "stats"), "read"), (("feedback", "convert"), "written"), (("edits", "stats"), "read as edits"),
        (("edits", "export"), "made of edit pairs"), (("annotate", "import"), "read"),
        (("annotate", "export"), "written"),
    ):  # fmt: skip
        assert ", ".join(names_of_formats(use)) in " ".join(run(*command, "--help").stdout.split())
