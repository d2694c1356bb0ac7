"""Tables: rows become records, quotes are placed or told by row and column, and nothing is guessed."""

import gzip
import json

import pytest

from spanwise.core import ConfigError, DataError
from spanwise.feedback import DemonstrationRecord, EditPair, FeedbackRecord, PromptRecord, load_or_raise
from spanwise.feedback.formats import load_feedback, read_edits, read_feedback, write_feedback
from spanwise.feedback.formats.contract import Reading
from spanwise.feedback.formats.tables import Layout

ANSWER = "Ada was born in Oslo. She had a cat. She had a dog."


def table(path, *rows, sep=","):
    """A CSV file with these rows, the first naming the columns."""
    cells = [sep.join('"' + str(cell).replace('"', '""') + '"' for cell in row) for row in rows]
    path.write_text("\n".join(cells) + "\n", encoding="utf-8", newline="")
    return path


def marks(record, response=0):
    return [(m.start, m.end, m.category) for m in record.responses[response].spans]


def problems(path, **how):
    result = read_feedback(path, reading=Reading(layout=Layout(**how.pop("layout", {})), **how))
    return [str(problem).split(": ", maxsplit=1)[1] if problem.place.row is None else
            f"{problem.place.row} {problem.field}: {problem.reason}" for problem in result.problems]  # fmt: skip


def test_quotes_of_a_cell_become_marks_where_they_stand(tmp_path):
    path = table(tmp_path / "a.csv", ("question", "answer", "quotes", "error type", "when"),
                 ("Who?", ANSWER, "Ada was born in Oslo.|a cat", "Wrong|Irrelevant", "2024"),
                 ("What?", ANSWER, '["a cat", "a dog"]', "Irrelevant", "2025"))  # fmt: skip
    first, second = load_feedback(path)
    assert (first.id, first.prompt, first.responses[0].text) == ("a-000002", "Who?", ANSWER)
    assert marks(first) == [(0, 21, "Wrong"), (30, 35, "Irrelevant")]
    assert marks(second) == [(30, 35, "Irrelevant"), (45, 50, "Irrelevant")]
    assert first.provenance == {"format": "table", "columns": {"when": "2024"}}


@pytest.mark.parametrize(("cell", "kind", "words"), [
    ("a bird", "quotes that do not stand in the answer", "'a bird' does not stand in the answer; copy it"),
    ("A  cat", "quotes that do not stand in the answer", "where white space, capitals or quotation marks differ"),
    ("She had", "quotes that stand in the answer several times", "'She had' stands 2 times in the answer; say which"),
])  # fmt: skip
def test_a_quote_without_a_place_is_told_by_row_and_column_and_never_makes_an_answer_clean(cell, kind, words, tmp_path):
    path = table(tmp_path / "a.csv", ("prompt", "response", "bad parts", "checked"), ("Who?", ANSWER, "a cat", "yes"),
                 ("What?", ANSWER, cell, "yes"))  # fmt: skip
    layout = {"columns": {"marks": "bad parts"}}
    (problem,) = problems(path, layout=layout)
    assert problem.startswith("3 bad parts: ")
    assert words in problem
    assert f"--allow-loss '{kind}'" in problem
    result = read_feedback(path, reading=Reading(layout=Layout(**layout), allow_loss=[kind]))
    assert result.unread == {kind: 1}
    assert [record.responses[0].marked for record in result.records] == [True, False]


def test_occurrences_and_offsets_tell_equal_quotes_apart(tmp_path):
    rows = [("She had", "2", "", ""), ("She had", "", "37", ""), ("She had", "", "37", "44"), ("", "", "37", "44")]
    path = table(tmp_path / "a.csv", ("prompt", "response", "marks", "occurrence", "start", "end"),
                 *[("?", f"{ANSWER} {n}", *row) for n, row in enumerate(rows[:3])])  # fmt: skip
    assert [marks(record) for record in load_feedback(path)] == [[(37, 44, "error")]] * 3
    alone = table(tmp_path / "b.csv", ("prompt", "response", "start", "end"), ("?", ANSWER, "37|0", "44|3"))
    assert marks(load_feedback(alone)[0]) == [(37, 44, "error"), (0, 3, "error")]
    objects = json.dumps([{"text": "She had", "label": "x", "occurrence": 1, "note": "no", "severity": "minor"}])
    (record,) = load_feedback(table(tmp_path / "c.csv", ("prompt", "response", "marks"), ("?", ANSWER, objects)))
    assert (marks(record), record.responses[0].spans[0].note) == ([(22, 29, "x")], "no")


@pytest.mark.parametrize(("row", "words"), [
    (("She had", "3", "", ""), "2 marks: 'She had' stands 2 times in the answer, there is no occurrence 3"),
    (("She had", "", "1", "8"), "2 marks: the quoted words are not at their offsets"),
    (("a cat|a dog", "1|1|1", "", ""), "2 occurrence: holds 3 values for 2 marks"),
    (("She had", "x", "", ""), "2 occurrence: must be a whole number (got 'x')"),
    (("", "", "900", "901"), "2 marks: offsets lie outside the text"),
    (("", "2", "", ""), "2 occurrence: says '2' of no quote; quote what it means."),
    (("a bird|a cow", "", "", ""), "2 marks: 'a bird' does not stand in the answer"),
])  # fmt: skip
def test_what_tells_marks_apart_is_checked(row, words, tmp_path):
    header = ("prompt", "response", "marks", "occurrence", "start", "end")
    found = problems(table(tmp_path / "a.csv", header, ("?", ANSWER, *row)))
    assert found[0].startswith(words)
    assert len(found) == (2 if "cow" in row[0] else 1)


def test_offsets_count_the_text_as_it_stood_in_its_cell(tmp_path):
    (tmp_path / "a.csv").write_bytes(b'prompt,response,start,end\n?,"a\r\n\r\nfoo",5,8\n')
    assert marks(load_feedback(tmp_path / "a.csv")[0]) == [(3, 6, "error")]
    path = table(
        tmp_path / "b.csv",
        ("prompt", "response", "marks", "start", "end"),
        ("?", "\N{GRINNING FACE} bad", "bad", "3", "6"),
    )
    assert marks(load_feedback(path)[0]) == [(2, 5, "error")]  # counted in UTF-16, as the quote shows


def test_an_empty_cell_is_clean_only_where_the_table_says_that_somebody_finished(tmp_path):
    path = table(tmp_path / "a.csv", ("prompt", "response", "marks", "Status"),
                 ("?", "one", "", "done"), ("?", "two", "", ""), ("?", "three", "", "todo"))  # fmt: skip
    assert [record.responses[0].marked for record in load_feedback(path)] == [True, False, False]
    assert [r.responses[0].marked for r in load_feedback(path, empty_is_clean=True)] == [True, True, False]
    assert problems(table(tmp_path / "b.csv", ("response", "marks", "checked"), ("one", "", "perhaps"))) == [
        "2 checked: says 'perhaps', which is neither yes nor no; write one of them."
    ]
    unfinished = table(tmp_path / "c.csv", ("response", "marks", "checked"), ("one", "one", "no"))
    assert "nobody finished the answer, which has marks" in problems(unfinished)[0]


def test_rows_of_one_answer_become_one_record_and_rows_of_one_id_its_responses(tmp_path):
    path = table(tmp_path / "a.csv", ("id", "prompt", "response", "quote", "category", "seen"),
                 ("1", "?", ANSWER, "a cat", "x", "mon"), ("1", "", "", "a dog", "y", "tue"),
                 ("1", "?", "Two.", "Two", "z", "tue"), ("2", "?", ANSWER, "", "", "wed"))  # fmt: skip
    first, second = load_feedback(path)
    assert marks(first) == [(30, 35, "x"), (45, 50, "y")]
    assert marks(first, 1) == [(0, 3, "z")]
    assert first.provenance["columns"] == {"seen": ["mon", "tue", "tue"]}
    assert (second.id, second.responses[0].marked) == ("2", False)
    nameless = table(tmp_path / "b.csv", ("prompt", "response", "quote"),
                     ("?", ANSWER, "a cat"), ("?", ANSWER, "a dog"), ("?", "Two.", "Two"))  # fmt: skip
    assert [marks(record) for record in load_feedback(nameless)] == [
        [(30, 35, "error"), (45, 50, "error")], [(0, 3, "error")]
    ]  # fmt: skip


def test_every_quote_without_a_place_is_listed_with_its_own_row(tmp_path):
    path = table(tmp_path / "a.csv", ("prompt", "response", "quote"), ("?", ANSWER, "a cat"), ("?", ANSWER, "a cow"),
                 ("?", ANSWER, "a dog"), ("?", ANSWER, "She had"))  # fmt: skip
    assert [problem[:24] for problem in problems(path)] == ["3 quote: 'a cow' does no", "5 quote: 'She had' stand"]


def test_a_category_without_a_quote_is_no_clean_answer_and_a_note_is_kept(tmp_path):
    path = table(tmp_path / "a.csv", ("response", "marks", "category", "comment", "checked"),
                 ("one", "", "Wrong", "", "yes"), ("two", "", "", "fine", "yes"))  # fmt: skip
    assert problems(path)[0].startswith("2 category: says 'Wrong' of no quote")
    lost, clean = load_feedback(path, allow_loss=["categories without a quote"])
    assert (lost.responses[0].marked, clean.responses[0].marked) == (False, True)
    assert clean.provenance["columns"] == {"comment": "fine"}


def test_rows_of_one_id_that_contradict_each_other_are_told(tmp_path):
    path = table(tmp_path / "a.csv", ("id", "prompt", "response", "marks", "correction"),
                 ("1", "?", "One.", "One", "Two."), ("1", "?", "One.", "", "Three."),
                 ("2", "?", "a", "", ""), ("3", "?", "a", "", ""), ("2", "?", "b", "", ""))  # fmt: skip
    assert problems(path) == [
        "2 correction: differs between rows of one answer; make it one.",
        "6 id: '2' is the id of row 4 already; make ids unique.",
    ]


def test_a_column_a_category_and_missing_information_without_a_passage(tmp_path):
    path = table(tmp_path / "a.csv", ("prompt", "response", "off topic", "marks:Wrong", "gaps", "no date"),
                 ("?", ANSWER, "a cat", "Oslo|a dog", "where she died", "x"),
                 ("?", "Two.", "", "", "", "no"))  # fmt: skip
    columns = {"marks:Irrelevant": "off topic", "missing": "gaps", "missing:Missing-Minor": "no date"}
    first, second = load_feedback(path, columns=columns)
    assert sorted(marks(first)) == [(16, 20, "Wrong"), (30, 35, "Irrelevant"), (45, 50, "Wrong")]
    assert [(gap.category, gap.note, gap.evidence) for gap in first.responses[0].missing] == [
        ("missing", "where she died", None), ("Missing-Minor", "", None)
    ]  # fmt: skip
    assert not second.responses[0].marked
    assert FeedbackRecord.model_validate_json(first.model_dump_json()) == first


def test_corrections_preferences_and_scores(tmp_path):
    path = table(
        tmp_path / "a.csv", ("prompt", "response", "corrected answer", "score"), ("?", "Oslo.", "Rome.", "2.5")
    )
    (record,) = load_feedback(path)
    assert (record.responses[0].correction, record.responses[0].marked) == ("Rome.", False)
    assert record.provenance == {"format": "table", "score": 2.5}
    assert [(p.original, p.edited) for p in read_edits(path, "table").records] == [("Oslo.", "Rome.")]
    assert [(p.original, p.edited) for p in load_or_raise(path, EditPair)] == [("Oslo.", "Rome.")]
    pairs = table(
        tmp_path / "b.csv", ("prompt", "chosen", "rejected"), ("?", "Rome.", "Oslo."), ("?", "a", "a"), ("?", "a", "")
    )
    (record,) = read_feedback(pairs).records
    assert [r.text for r in record.responses] == ["Rome.", "Oslo."]
    assert record.preferences[0].winner == "first"
    assert [p.split(":")[0] for p in problems(pairs)] == ["3 rejected", "4 rejected"]


def test_prompts_and_demonstrations_are_read_from_tables(tmp_path):
    path = table(tmp_path / "a.csv", ("question", "answer", "context", "topic"), ("Who?", "Ada.", "Ada is here.", "x"))
    (prompt,) = load_or_raise(path, PromptRecord)
    assert (prompt.prompt, prompt.passages[0].text) == ("Who?", "Ada is here.")
    assert prompt.metadata == {"columns": {"topic": "x"}}
    (demonstration,) = load_or_raise(path, DemonstrationRecord)
    assert (demonstration.prompt, demonstration.completion) == ("Who?", "Ada.")


def test_answers_with_feedback_are_no_demonstrations(tmp_path):
    path = table(tmp_path / "a.csv", ("question", "answer", "quotes"), ("Who?", "Ada.", "Ada"))
    with pytest.raises(DataError, match="holds feedback, so that bad answers would be imitated"):
        load_or_raise(path, DemonstrationRecord)


@pytest.mark.parametrize(("rows", "words"), [
    ([("a", "b"), ("1", "2")], "no column is known to hold the answers; name it with --column response=COLUMN (th"),
    ([("answer", "completion"), ("1", "2")], "the columns 'answer' and 'completion' may both be the response; say"),
    ([("answer", "answer"), ("1", "2")], "two columns are called 'answer'; rename one."),
])  # fmt: skip
def test_a_table_that_does_not_say_what_its_columns_mean_is_refused(rows, words, tmp_path):
    with pytest.raises(DataError) as error:
        load_feedback(table(tmp_path / "a.csv", *rows))
    assert words in str(error.value)


@pytest.mark.parametrize(("columns", "words"), [
    ({"prompt": "nix"}, "has no column 'nix'; there are: answer"),
    ({"promt": "answer"}, "'promt' is no meaning of a column; choose one of id"),
    ({"prompt:x": "answer"}, "'prompt:x' is no meaning of a column"),
])  # fmt: skip
def test_a_mapping_that_fits_nothing_is_refused(columns, words, tmp_path):
    with pytest.raises(ConfigError) as error:
        load_feedback(table(tmp_path / "a.csv", ("answer",), ("x",)), columns=columns)
    assert words in str(error.value)


def test_damaged_rows_are_told_and_keep_no_other_out(tmp_path):
    (tmp_path / "a.csv").write_bytes(
        b"\xef\xbb\xbfprompt,response\n?,good\n?,bad,more\n?,B\xe4r\n\n"
        b'?,\x00\n?,"two\nlines"\n?,\n?,"never closed\n?,x\n'
    )
    result = read_feedback(tmp_path / "a.csv")
    assert [record.responses[0].text for record in result.records] == ["good", "two\nlines"]
    assert [(p.place.row, p.line, p.field, p.reason[:23]) for p in result.problems] == [
        (3, 3, "", "has 3 cells, the first "), (4, 4, "response", "is not UTF-8; save the "),
        (6, 6, "response", "NUL at character 0; rem"), (8, 9, "response", "holds no answer; fill t"),
        (9, 10, "", "cannot be read (unexpec"),
    ]  # fmt: skip


@pytest.mark.parametrize("sep", [",", ";", "\t"])
def test_what_parts_the_cells_is_told_by_the_first_row(sep, tmp_path):
    path = table(tmp_path / "a.csv", ("prompt", "response"), ("a,b;c\td", "x"), sep=sep)
    assert load_feedback(path)[0].prompt == "a,b;c\td"
    (tmp_path / "b.csv.gz").write_bytes(gzip.compress(path.read_bytes()))
    assert load_feedback(tmp_path / "b.csv.gz")[0].prompt == "a,b;c\td"


def test_lists_of_rows_and_arrow_tables_are_read(tmp_path):
    pa = pytest.importorskip("pyarrow")
    rows = [{"prompt": "?", "response": ANSWER, "marks": ["a cat", "a dog"], "n": 1.0, "gap": float("nan")}]
    for source in (rows, pa.Table.from_pylist(rows)):
        (record,) = load_feedback(source)
        assert marks(record) == [(30, 35, "error"), (45, 50, "error")]
        assert record.provenance["columns"] == {"n": 1}
    with pytest.raises(DataError, match="<int> holds no rows"):
        load_feedback(3)


def record_with_everything():
    return FeedbackRecord.model_validate({
        "id": "r", "prompt": 'a "b", c\n', "annotator": "ann", "references": ["x|y", "z"],
        "passages": [{"title": "T", "sentences": ["One.", "Two."]}],
        "responses": [
            {"text": " Bob. Bob.\n", "marked": True, "model": "m", "correction": "", "spans": [
                {"start": 6, "end": 10, "quote": "Bob.", "category": "x",
                 "evidence": [{"passage": 0, "sentences": [1]}]},
                {"start": 1, "end": 5, "quote": "Bob.", "category": "y", "polarity": "positive", "severity": "s"}],
             "missing": [{"category": "m", "note": "n"}]},
            {"text": ""}, {"text": ""}, {"text": "=1+1", "correction": "2"}],
        "preferences": [{"first": 0, "second": 3, "winner": "tie"}], "provenance": {"deep": [{"a": None}]},
    })  # fmt: skip


@pytest.mark.parametrize("ending", ["csv", "tsv", "parquet", "csv.gz"])
def test_what_is_written_comes_back_whole(ending, tmp_path):
    records = [
        record_with_everything(),
        FeedbackRecord.model_validate({"id": "s", "prompt": "", "responses": [{"text": "1"}]}),
    ]
    path = tmp_path / f"a.{ending}"
    assert write_feedback(path, "table", records).rows == 2
    assert load_feedback(path) == records
    with pytest.raises(DataError, match=r"written as \.csv, \.tsv or \.parquet"):
        write_feedback(tmp_path / "a.xls", "table", records)
