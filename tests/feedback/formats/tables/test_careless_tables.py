"""Tables as people really write them: nothing is lost, nothing called clean, no mark put on other words, in silence."""

import json

import pytest

from spanwise.core import DataError
from spanwise.feedback import EditPair, read_records
from spanwise.feedback.formats import load_feedback, read_feedback

HEAD = "question,answer,quotes,error type,checked\n"


def csv(folder, text, name="a.csv"):
    path = folder / name
    path.write_bytes(text.encode())
    return path


def reasons(path):
    result = read_feedback(path)
    assert not result.records
    return [f"{problem.field}: {problem.reason}" for problem in result.problems]


@pytest.mark.parametrize("cell", ["Missing-Answer", "Missing-Answer|Date"])
@pytest.mark.parametrize("words", ["missing_information,", ""])
def test_a_category_of_missing_information_needs_no_words_and_is_never_clean(cell, words, tmp_path):
    path = csv(tmp_path, f"question,answer,{words}missing_category,checked\nq,A b.,{words and ','}{cell},yes\n")
    (response,) = load_feedback(path)[0].responses
    assert [(gap.category, gap.note) for gap in response.missing] == [(name, "") for name in cell.split("|")]


@pytest.mark.parametrize("column", ["missing", "missing:Date", "missing_category"])
@pytest.mark.parametrize(("cell", "gaps"), [("no", 0), ("None", 0), ("n/a", 0), ("-", 0), ("the year", 1)])
def test_words_that_say_nothing_is_missing_are_no_gap(column, cell, gaps, tmp_path):
    path = csv(tmp_path, f"question,answer,{column},checked\nq,A b.,{cell},yes\n")
    (response,) = load_feedback(path)[0].responses
    assert (len(response.missing), response.marked) == (gaps, True)


def test_a_word_that_may_mean_either_is_no_gap_and_no_clean_answer(tmp_path):
    path = csv(tmp_path, "question,answer,missing:Date,checked\nq,A b.,complete,yes\n")
    (reason,) = reasons(path)
    assert reason.startswith("missing:Date: says 'complete': is something missing?")


@pytest.mark.parametrize(
    ("answer", "cell"), [("You know me.", "no"), ("None of them.", "None"), ("A well-known b.", "-")]
)
def test_a_word_for_nothing_marks_no_words_that_happen_to_stand_in_the_answer(answer, cell, tmp_path):
    (reason,) = reasons(csv(tmp_path, f"{HEAD}q,{answer},{cell},W,yes\n"))
    assert reason.startswith(f"quotes: says '{cell}'; leave the cell empty")
    quoted = json.dumps([cell]).replace('"', '""')
    (record,) = load_feedback(csv(tmp_path, f'{HEAD}q,{answer},"{quoted}",W,yes\n'))
    assert [span.quote for span in record.responses[0].spans] == [cell]


def test_an_answer_of_one_such_word_can_be_quoted(tmp_path):
    (record,) = load_feedback(csv(tmp_path, f"{HEAD}q,No,No,W,yes\n"))
    assert [span.quote for span in record.responses[0].spans] == ["No"]


@pytest.mark.parametrize("heads", ["quotes", "correction", "missing", "marks:Wrong", "start_offset"])
def test_feedback_on_an_answer_is_not_lost_beside_a_preference(heads, tmp_path):
    path = csv(tmp_path, f"question,chosen,rejected,{heads}\nq,A b.,C d.,0\n")
    with pytest.raises(DataError, match=f"the column '{heads}' speaks of an answer, chosen or rejected; name the"):
        load_feedback(path)


def test_other_columns_beside_a_preference_are_kept(tmp_path):
    path = csv(tmp_path, "question,chosen,rejected,model,label,status\nq,A b.,C d.,m,W,odd\n")
    assert load_feedback(path)[0].provenance["columns"] == {"model": "m", "label": "W", "status": "odd"}


def test_notes_of_rows_without_a_mark_are_kept_beside_marks_of_other_rows(tmp_path):
    path = csv(tmp_path, "id,question,answer,quotes,comment\n1,q,A b.,A,n1\n1,q,C d.,,all wrong\n")
    (record,) = load_feedback(path)
    assert record.responses[0].spans[0].note == "n1"
    assert record.provenance["columns"] == {"comment": "all wrong"}


@pytest.mark.parametrize("column", ["error type", "severity"])
def test_two_values_for_one_quote_are_told(column, tmp_path):
    path = csv(tmp_path, f"question,answer,quotes,{column}\nq,A b.,A,Wrong | Minor\n")
    assert reasons(path) == [f"{column}: holds 2 values for 1 mark; write one for each."]


def test_columns_that_differ_in_capitals_alone_are_told_apart_by_nobody(tmp_path):
    with pytest.raises(DataError, match="the columns 'answer' and 'Answer' differ in"):
        load_feedback(csv(tmp_path, "question,answer,Answer,quotes\nq,A,B,A\n"))
    (record,) = load_feedback(csv(tmp_path, "question,answer,when,When\nq,A,1,2\n"))
    assert record.provenance["columns"] == {"when": "1", "When": "2"}


@pytest.mark.parametrize("quote", ['{"quote": "A", "quote": "b"}', "[{'quote': 'A', 'quote': 'b'}]"])
def test_a_key_that_stands_twice_loses_no_quote(quote, tmp_path):
    cell = '"' + quote.replace('"', '""') + '"'
    (reason,) = reasons(csv(tmp_path, f"{HEAD}q,A b.,{cell},W,yes\n"))
    assert "twice in one object; keep one" in reason


@pytest.mark.parametrize(("number", "good"), [("0.0", True), ("--5", False), ("9" * 5000, False), ("1.5", False)])
def test_offsets_are_whole_numbers_also_as_pandas_writes_them(number, good, tmp_path):
    path = csv(tmp_path, f"question,answer,start,end\nq,A b.,{number},3.0\n")
    if good:
        assert [(span.start, span.end) for span in load_feedback(path)[0].responses[0].spans] == [(0, 3)]
    else:
        assert reasons(path)[0].startswith("start: must be a whole number")


def test_rows_of_empty_cells_are_no_answers(tmp_path):
    records = load_feedback(csv(tmp_path, f"{HEAD}q,A b.,A,W,yes\n,,,,\n , ,,,\nq2,C,,,yes\n,,,,\n"))
    assert [record.id for record in records] == ["a-000002", "a-000005"]


def test_bytes_of_parquet_are_text(tmp_path):
    pa = pytest.importorskip("pyarrow")
    pq = pytest.importorskip("pyarrow.parquet")
    pq.write_table(pa.table({"question": [b"q"], "answer": ["caf\u00e9 b".encode()]}), tmp_path / "a.parquet")
    (record,) = load_feedback(tmp_path / "a.parquet")
    assert (record.prompt, record.responses[0].text) == ("q", "caf\u00e9 b")
    pq.write_table(pa.table({"question": [b"q"], "answer": [b"caf\xe9"]}), tmp_path / "b.parquet")
    assert len(reasons(tmp_path / "b.parquet")) == 1


@pytest.mark.parametrize(("content", "words"), [
    (f"{HEAD}q,A b.,A,W,yes\n".replace("\n", "\r").encode(), "a carriage return alone, as old Macs ended lines"),
    (f"{HEAD}q,A b.,A,W,yes\n".encode("utf-16-le"), "as text in UTF-16 does; save the table as UTF-8"),
])  # fmt: skip
def test_tables_in_other_spellings_are_told(content, words, tmp_path):
    (tmp_path / "a.csv").write_bytes(content)
    with pytest.raises(DataError, match=words):
        load_feedback(tmp_path / "a.csv")


def test_an_empty_cell_of_corrections_is_no_edit_that_deletes_everything(tmp_path):
    path = csv(tmp_path, "prompt,answer,correction,kept_nothing\nq,A b.,A.,\nq,C d.,,\nq,E f.,,yes\n")
    result = read_records(path, EditPair)
    assert [(pair.original, pair.edited) for pair in result.records] == [("A b.", "A."), ("E f.", "")]
    assert [f"{p.place.row} {p.field}: {p.reason[:19]}" for p in result.problems] == [
        "3 correction: holds no correction"
    ]
