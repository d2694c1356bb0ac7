"""Files of other tools and data sets: what each row becomes, counted by an independent look at the file."""

import csv
import gzip
import io
import json
import re
from collections import Counter
from pathlib import Path

import pytest
from doubles.foreign import DOCUMENTS, FIRST, FOLDERS, POTATO_ITEMS, ROWS, SECOND, TEXT, TEXTS, written

from spanwise.feedback.formats import read_edits, read_feedback, write_feedback
from spanwise.feedback.formats.registry import FORMATS
from spanwise.feedback.schema import FeedbackRecord, Response, mark

SHARED = Path(__file__).parents[3] / ".." / "shared"


def read(form, folder):
    result = read_feedback(written(form, folder), form)
    assert not result.problems, result.problems
    return result


def quotes(record, position=0):
    return [(m.quote, m.category, m.note, m.severity) for m in record.responses[position].spans]


def texts(record):
    return [response.text for response in record.responses]


@pytest.mark.parametrize("form", [*ROWS, *TEXTS, *DOCUMENTS, *FOLDERS])
def test_every_layout_is_read_without_a_refusal_and_its_marks_quote_the_text(form, tmp_path):
    records = read(form, tmp_path).records
    assert records
    for record in records:
        assert record.provenance["format"] == form
        for response in record.responses:
            assert all(response.text[m.start : m.end] == m.quote for m in response.spans)


@pytest.mark.parametrize("form", [name for name in ROWS if name != "helpsteer"])
def test_columns_that_no_field_holds_are_kept(form, tmp_path):
    row = {**ROWS[form][0], "a column of mine": ["x", 1]}
    (tmp_path / "f").write_text(json.dumps(row))
    (record, *_) = read_feedback(tmp_path / "f", form).records
    assert record.provenance["fields"]["a column of mine"] == ["x", 1]


def test_stepwise_rows_come_back_as_they_were(tmp_path):
    result = read("trl-stepwise", tmp_path)
    assert result.unread == {"steps without a label": 1}
    assert [(len(r.responses[0].spans), r.responses[0].marked) for r in result.records] == [
        (1, True),
        (0, True),
        (0, True),
    ]
    assert result.records[0].responses[0].text == "2 * 2 = 4.\n\n2 + 4 = 7.\n\nSo it is 7."
    assert quotes(result.records[0]) == [("2 + 4 = 7.\n\nSo it is 7.", "Wrong-Step", "", None)]
    assert result.records[2].responses[0].text == "It is 3."
    write_feedback(tmp_path / "out", "trl-stepwise", result.records)
    rows = [json.loads(line) for line in (tmp_path / "out").read_text().splitlines()]
    cut = {"prompt": "1 + 2?", "completions": ["It is 3."], "labels": [True]}
    assert rows == [*ROWS["trl-stepwise"][:2], cut]


@pytest.mark.parametrize(("form", "rows"), [
    ("trl-unpaired", ROWS["trl-unpaired"]),
    ("hh-rlhf", ROWS["hh-rlhf"]),
])  # fmt: skip
def test_rows_of_trainers_come_back_as_they_were(form, rows, tmp_path):
    write_feedback(tmp_path / "out", form, read(form, tmp_path).records)
    assert [json.loads(line) for line in (tmp_path / "out").read_text().splitlines()] == rows


def test_a_label_of_a_whole_answer_is_a_rating_and_no_mark(tmp_path):
    records = read("trl-unpaired", tmp_path).records
    assert [(r.responses[0].ratings, r.responses[0].marked) for r in records] == [
        ({"label": 1.0}, False), ({"label": 0.0}, False),
    ]  # fmt: skip


def test_transcripts_are_turns_and_are_refused_where_they_part_earlier(tmp_path):
    (record,) = read("hh-rlhf", tmp_path).records
    assert [(turn.role, turn.content) for turn in record.messages] == [
        ("user", "Hello"), ("assistant", "Hi."), ("user", "When was the dam closed?"),
    ]  # fmt: skip
    assert (texts(record), record.preferences[0].winner) == ([FIRST, SECOND], "first")
    (row,) = ROWS["hh-rlhf"]
    for other in (row["rejected"].replace("Hi.", "Ho."), "no dialogue", row["chosen"], "\n\nHuman: Only a question"):
        (tmp_path / "f").write_text(json.dumps(row | {"rejected": other}))
        result = read_feedback(tmp_path / "f", "hh-rlhf")
        assert (len(result.records), len(result.problems)) == (0, 1)


def test_corrections_are_written_as_conversations_and_instructions(tmp_path):
    records = [
        FeedbackRecord(id="a", prompt="When?", responses=(Response(text=SECOND, correction=FIRST), Response(text="x")))
    ]
    for form, row in (
        ("sharegpt", {"conversations": [{"from": "human", "value": "When?"}, {"from": "gpt", "value": FIRST}]}),
        ("alpaca", {"instruction": "When?", "input": "", "output": FIRST}),
    ):
        done = write_feedback(tmp_path / "out", form, records)
        assert json.loads((tmp_path / "out").read_text()) == row
        assert done.left_out == {"responses that nobody corrected": 1}
        assert texts(read_feedback(tmp_path / "out", form).records[0]) == [FIRST]


def test_prompts_are_written_once(tmp_path):
    records = [FeedbackRecord(id=str(k), prompt=p, responses=(Response(text="x"),)) for k, p in enumerate("aab")]
    done = write_feedback(tmp_path / "out", "trl-prompts", records)
    assert (done.rows, done.left_out) == (2, {"questions that were there before": 1})


def test_conversations_and_instructions_of_others(tmp_path):
    plain, pair, tagged = read("sharegpt", tmp_path).records
    assert ([t.role for t in plain.messages], texts(plain)) == (["system", "user"], [FIRST])
    assert (texts(pair), pair.preferences[0].winner) == ([FIRST, SECOND], "first")
    assert tagged.responses[0].ratings == {"label": 0.0}
    plain, pair, tagged = read("alpaca", tmp_path).records
    assert (plain.prompt, texts(plain)) == ("Say when.\n\nThe dam.", [FIRST])
    assert (pair.prompt, texts(pair)) == ("Say when.", [FIRST, SECOND])
    assert [t.content for t in tagged.messages] == ["When?", FIRST, "And why?"]


def test_ultrafeedback_prefers_by_its_aspects_and_not_by_the_overall_score(tmp_path):
    (record,) = read("ultrafeedback", tmp_path).records
    assert record.preferences[0].winner == "first"
    assert record.responses[1].ratings == {"helpfulness": 1.0, "fine-grained_score": 1.0, "overall_score": 10.0}
    assert [response.model for response in record.responses] == ["a", "b"]
    assert record.provenance["critiques"] == ["Good.", "Wrong."]


def test_helpsteer_of_every_year(tmp_path):
    rated, second, third, edited, quality, principle = read("helpsteer", tmp_path).records
    assert [response.ratings["helpfulness"] for response in rated.responses] == [3, 1]
    assert [record.preferences[0].winner for record in (rated, second, third, quality)] == [
        "first", "first", "second", "first",
    ]  # fmt: skip
    assert (edited.responses[0].correction, edited.provenance["fields"]["feedback"]) == (FIRST, ["It was closed."])
    assert [response.correction for response in quality.responses] == [None, None, FIRST]
    assert third.provenance["fields"]["overall_preference"] == 3
    assert principle.responses[0].ratings == {"names the year": 1.0}


def test_steps_that_people_rated_are_responses_with_the_steps_before_them(tmp_path):
    result = read("prm800k", tmp_path)
    first, human = result.records
    wrong = [[m.quote for m in response.spans] for response in first.responses]
    assert texts(first) == ["2 * 2 = 4.", "2 + 2 = 4.", "2 * 2 = 4.\n\n2 + 4 = 7.", "2 * 2 = 4.\n\nNow I add."]
    assert wrong == [[], ["2 + 2 = 4."], ["2 + 4 = 7."], []]
    assert (texts(human), [len(r.spans) for r in human.responses]) == (["It is 2.", "It is 3."], [0, 1])
    assert (first.annotator, first.references, result.unread) == ("u1", ("6",), {})
    (record,) = read("math-shepherd", tmp_path).records
    assert record.prompt == "How many?"
    assert texts(record) == ["Step 1: 2 * 2 = 4.\n\nStep 2: 2 + 4 = 7. The answer is: 7"]
    assert [m.quote for m in record.responses[0].spans] == ["Step 2: 2 + 4 = 7. The answer is: 7"]


def test_what_nobody_rated_ends_a_solution(tmp_path):
    row = json.loads(json.dumps(ROWS["prm800k"][0]))
    row["label"]["steps"][0]["completions"][0]["rating"] = None
    (tmp_path / "f").write_text(json.dumps(row))
    result = read_feedback(tmp_path / "f", "prm800k")
    assert [texts(record) for record in result.records] == [["2 + 2 = 4."]]
    assert result.unread == {"steps without a rating": 1, "steps behind one without a rating": 2}


def test_ragtruth_reads_its_sources_where_they_lie_beside_it(tmp_path):
    source = {"source_id": "s", "task_type": "QA", "source": "x", "prompt": "Answer briefly: When?",
              "source_info": {"question": "When?", "passages": "passage 1: In 1932."}}  # fmt: skip
    (tmp_path / "source_info.jsonl").write_text(json.dumps(source))
    marked, clean, other = read("ragtruth", tmp_path).records
    assert (marked.prompt, marked.passages[0].text) == ("When?", "passage 1: In 1932.")
    assert quotes(marked) == [("1931", "Evident Conflict", "It was 1932.", None)]
    assert (clean.responses[0].marked, clean.responses[0].spans, clean.responses[0].model) == (True, (), "m")
    assert (other.prompt, quotes(other)) == ("When?", [("dam", "baseless", "", None)])


def test_hallucinations_are_marked_where_their_words_stand(tmp_path):
    wrong, clean = read("felm", tmp_path).records
    assert quotes(wrong) == [(TEXT, "knowledge_error", "It was 1932.", None)]
    assert clean.responses[0].marked
    marked, clean, *pairs = read("halueval", tmp_path).records
    assert quotes(marked) == [("closed in 1931", "hallucination", "", None)]
    assert (clean.responses[0].marked, clean.responses[0].spans) == (True, ())
    assert [(texts(pair), pair.preferences[0].winner) for pair in pairs] == [([FIRST, SECOND], "first")] * 3
    (record,) = read("haluquestqa", tmp_path).records
    assert quotes(record) == [("closed in 1931", "factuality", "It was 1932.", None)]
    assert [(m.category, m.polarity) for m in record.responses[1].spans] == [("reference_example", "positive")]
    assert record.preferences[0].winner == "first"


def test_quotes_that_stand_several_times_or_nowhere_are_counted(tmp_path):
    row = ROWS["halueval"][0] | {"hallucination_spans": ["the", "e", "1932", "closed"]}
    (tmp_path / "f").write_text(json.dumps(row))
    result = read_feedback(tmp_path / "f", "halueval")
    assert [m.quote for m in result.records[0].responses[0].spans] == ["The", "closed"]
    assert result.unread == {"quotes that stand several times": 1, "quotes that are not in the answer": 1}


def test_judgements_of_mt_bench(tmp_path):
    people, tie, model, grade = read("mt-bench", tmp_path).records
    assert [record.preferences[0].winner for record in (people, tie, model)] == ["first", "tie", "first"]
    assert (people.annotator, model.annotator, texts(model)) == ("expert_0", "gpt-4", [FIRST, SECOND])
    assert [turn.content for turn in tie.messages] == ["When?", FIRST, "Why?"]
    assert (grade.responses[0].ratings, grade.prompt) == ({"score": 8.0}, "When?")
    apart = ROWS["mt-bench"][0] | {"turn": 2}
    (tmp_path / "f").write_text(json.dumps(apart))
    result = read_feedback(tmp_path / "f", "mt-bench")
    assert (result.records, result.unread) == ([], {"second turns of different conversations": 1})


def test_mqm_marks_with_their_severity_and_a_rater_without_a_finding(tmp_path):
    result = read("mqm", tmp_path)
    marked, omitted, clean = result.records
    assert quotes(marked) == [
        ("1931", "Accuracy/Mistranslation", "", "Major"), ("closed", "Style/Awkward", "", "Minor"),
    ]  # fmt: skip
    assert (marked.responses[0].text, marked.prompt, marked.annotator) == (TEXT, "大坝。", "r1")
    assert (omitted.responses[0].marked, clean.responses[0].marked, clean.responses[0].spans) == (False, True, ())
    assert result.unread == {"errors without a place in the translation": 1}


def test_the_real_file_of_mqm_is_read_to_its_last_row():
    path = SHARED / "data" / "wmt_mqm" / "mqm_ted_zhen.tsv.gz"
    if not path.exists():
        pytest.skip("the real data file is not at hand")
    result = read_feedback(path, "mqm")
    text = gzip.decompress(path.read_bytes()).decode()
    rows = list(csv.DictReader(io.StringIO(text), delimiter="\t", quoting=csv.QUOTE_NONE))
    bad = [row for row in rows if row["target"].count("<v>") != row["target"].count("</v>")]
    placed = [row for row in rows if "<v>" in row["target"] and row not in bad]
    finished = [row for row in rows if row["category"] == "No-error"]
    groups = Counter((row["system"], row["doc"], row["seg_id"], row["rater"]) for row in rows)
    assert len(bad) == len(result.problems) == 1
    assert len(result.records) == len(groups) - 1
    found = Counter(
        (r.responses[0].model, r.annotator, m.quote, m.category, m.severity)
        for r in result.records
        for m in r.responses[0].spans
    )
    expected = Counter(
        (row["system"], row["rater"], re.search("<v>(.*?)</v>", row["target"])[1], row["category"], row["severity"])
        for row in placed
    )
    assert found == expected
    assert sum(r.responses[0].marked and not r.responses[0].spans for r in result.records) == len(finished)
    assert sum(result.unread.values()) == len(rows) - len(placed) - len(finished) - len(bad)


def test_m2_is_marks_and_corrections_of_each_annotator(tmp_path):
    first, second, clean, inserted, unread = read("m2", tmp_path).records
    assert [(m.quote, m.category, m.note) for m in first.responses[0].spans] == [
        ("have", "R:VERB:SVA", "has"), ("close", "R:VERB:FORM", "closed"),
    ]  # fmt: skip
    assert first.responses[0].correction == "The dam has been closed ."
    assert (second.annotator, second.responses[0].correction) == ("1", "The dike have been close .")
    assert (clean.responses[0].marked, clean.responses[0].spans) == (True, ())
    assert (quotes(inserted)[0][0], inserted.responses[0].correction) == ("is", "It was here now .")
    assert (unread.responses[0].marked, unread.responses[0].correction) == (False, None)
    pairs = read_edits(written("m2", tmp_path), "m2").records
    assert [[s.category for s in pair.spans] for pair in pairs] == [
        ["R:VERB:SVA", "R:VERB:FORM"], ["R:NOUN"], [], ["U:VERB", "M:PUNCT"],
    ]  # fmt: skip


def test_inline_corrections_of_both_styles(tmp_path):
    critic, wdiff, plain = read("inline", tmp_path).records
    assert (texts(critic), critic.responses[0].correction) == (
        ["The dam have been was closed."],
        "The dam has been closed.",
    )
    assert (texts(wdiff), wdiff.responses[0].correction) == (["It was close in 1931."], "It was closed in 1931.")
    assert quotes(wdiff) == [("1931", "comment", "Why?", None)]
    assert (plain.responses[0].marked, plain.responses[0].correction) == (False, None)


def test_brat_marks_in_several_pieces_over_a_line_break(tmp_path):
    result = read("brat", tmp_path)
    marked, unread = result.records
    assert quotes(marked) == [
        ("dam", "Wrong", "It was not.", None), ("was", "Wrong", "It was not.", None), ("Lund", "Place", "", None),
    ]  # fmt: skip
    assert (unread.responses[0].marked, result.unread) == (False, {"attributes": 1})
    alone = read_feedback(tmp_path / "foreign.brat" / "a.ann", "brat")
    assert [r.responses for r in alone.records] == [marked.responses]


def test_prodigy_is_clean_only_where_a_manual_task_was_accepted(tmp_path):
    result = read("prodigy", tmp_path)
    marked, clean = result.records
    assert (quotes(marked)[0][:2], marked.annotator, marked.prompt) == (("1931", "Wrong"), "db-ann", "When?")
    assert (clean.responses[0].marked, result.unread) == (True, {"tasks answered with ignore": 1})
    spans = (mark(TEXT, 30, 34, "Wrong"),)
    records = [
        FeedbackRecord(
            id="a", prompt="When?", responses=(Response(text=TEXT, marked=True, spans=spans), Response(text="x"))
        ),
        FeedbackRecord(id="b", prompt="When?", responses=(Response(text=TEXT),)),
        FeedbackRecord(id="c", prompt="When?", responses=(Response(text=TEXT, marked=True),)),
    ]
    write_feedback(tmp_path / "out", "prodigy", records)
    assert read_feedback(tmp_path / "out", "prodigy").records == records


def test_webanno_spans_of_several_tokens_and_of_a_part_of_one(tmp_path):
    result = read("webanno", tmp_path)
    (record,) = result.records
    (response,) = record.responses
    assert response.text == "\U0001f600 The dam of\nLund .\nIt was ."
    assert quotes(record) == [
        ("\U0001f600", "Error", "", None), ("The dam", "Wrong", "no_one", None), ("dam of", "Odd", "", None),
        ("L", "Case", "", None), ("was", "Wrong", "", None),
    ]  # fmt: skip
    assert result.unread == {"annotations of the layer POS": 1, "relations": 1}
    assert record.provenance["layers"][0][0] == {"layer": "webanno.custom.Error"}


@pytest.mark.parametrize(("rows", "marked"), [
    ("#Text=ab cd\n1-1\t0-2\tab\t2a[1]|1a[2]|*\n1-1.1\t1-2\tb\t8a[3]\n1-2\t3-5\tcd\t2a[1]\n1-2.1\t3-4\tc\t8a[3]|4a\n"
     "1-2.2\t4-4\t\t9a\n", ["ab=Span", "ab=1a", "ab cd=2a", "b c=8a", "c=4a"]),
    ("#Text=He .\n1-1\t0-2\tHe\tP[1]\n1-2\t3-4\t.\tP[1]\n\n#Text=She .\n2-1\t5-8\tShe\tP[1]\n2-2\t9-10\t.\t_\n",
     ["He .\nShe=P"]),
    ("#Sentence.id=s\n#Text=a\\tb \\\\\n1-1\t0-1\ta\t\\_\\|\\[\\->\\;\n1-2\t2-3\tb\t_\n1-3\t4-5\t\\\\\t_\n",
     ["a=_|[->;"]),
])  # fmt: skip
def test_stacks_sentences_and_escapes_of_webanno(rows, marked, tmp_path):
    (tmp_path / "a.tsv").write_text("#FORMAT=WebAnno TSV 3.3\n#T_SP=webanno.custom.Span|value\n\n\n" + rows)
    (record,) = read_feedback(tmp_path / "a.tsv", "webanno").records
    assert sorted(f"{m.quote}={m.category}" for m in record.responses[0].spans) == sorted(marked)


def test_webanno_that_counts_code_points_is_told_by_its_words_and_a_damaged_one_is_refused(tmp_path):
    head, smile = "#FORMAT=WebAnno TSV 3.2\n#T_SP=x.Span|\n\n\n", "#Text=\U0001f600 a\n"
    for rows, good in (
        ("1-1\t0-2\t\U0001f600\t_\n1-2\t3-4\ta\t*\n", True), ("1-1\t0-1\t\U0001f600\t_\n1-2\t2-3\ta\t*\n", True),
        ("1-1\t0-2\t\U0001f600\t_\n1-2\t3-4\tb\t*\n", False), ("1-1\t0-2\t\U0001f600\t_\t_\n", False),
        ("1-1\t0-2\t\U0001f600\n", False), ("x\n", False), ("", False),
    ):  # fmt: skip
        (tmp_path / "a.tsv").write_text(head + smile + rows)
        result = read_feedback(tmp_path / "a.tsv", "webanno")
        assert (len(result.records), len(result.problems)) == (int(good), int(not good))
        assert [m.quote for record in result.records for m in record.responses[0].spans] == ["a"] * good


def test_people_of_an_exported_project_are_records_of_their_own(tmp_path):
    for person, category in (("ann", "Wrong"), ("bob", "Odd")):
        folder = tmp_path / "annotation" / "doc.txt"
        folder.mkdir(parents=True, exist_ok=True)
        text = f"#FORMAT=WebAnno TSV 3.3\n#T_SP=x.Span|value\n\n\n#Text=a\n1-1\t0-1\ta\t{category}\t\n"
        (folder / f"{person}.tsv").write_text(text)
    records = read_feedback(tmp_path, "webanno").records
    assert [(r.id, r.annotator, r.responses[0].spans[0].category) for r in records] == [
        ("annotation/doc.txt#ann", "ann", "Wrong"), ("annotation/doc.txt#bob", "bob", "Odd"),
    ]  # fmt: skip


def test_uima_counts_utf16_units_as_the_tool_that_wrote_it_reads_them(tmp_path):
    result = read("uima-cas", tmp_path)
    (record,) = result.records
    assert quotes(record) == [("\U0001f600", "Error", "", None), ("dam", "Wrong", "It was not.", None)]
    assert result.unread == {"annotations of the layer POS": 1, "annotations without a length": 1, "relations": 1}
    (value,) = DOCUMENTS.values()
    text = value["%FEATURE_STRUCTURES"][0]["sofaString"].encode("utf-16-le")
    cut = {
        text[2 * one["begin"] : 2 * one["end"]].decode("utf-16-le")
        for one in value["%FEATURE_STRUCTURES"]
        if one["%TYPE"].endswith("Error") and one["begin"] < one["end"]
    }
    assert cut == {m.quote for m in record.responses[0].spans}
    older = {**value, "%FEATURE_STRUCTURES": {str(one["%ID"]): one for one in value["%FEATURE_STRUCTURES"]}}
    (tmp_path / "older").write_text(json.dumps(older, indent=2))
    assert read_feedback(tmp_path / "older", "uima-cas").records[0].responses == record.responses


def test_uima_annotations_of_no_text_or_within_a_character_are_refused(tmp_path):
    for change in ({"@sofa": 9}, {"begin": 1}, {"begin": "x"}, {"end": 400}, {"%TYPE": None}):
        value = json.loads(json.dumps(DOCUMENTS["uima-cas"]))
        value["%FEATURE_STRUCTURES"][2] |= change
        (tmp_path / "f").write_text(json.dumps(value))
        result = read_feedback(tmp_path / "f", "uima-cas")
        assert (len(result.records), len(result.problems)) == (0, 1), change


def test_potato_is_read_by_the_text_that_the_page_showed(tmp_path):
    result = read("potato", tmp_path)
    marked, unread, first, second = result.records
    assert texts(marked) == ["The dam of \U0001f600 Lund was closed."]
    assert quotes(marked) == [
        ("Lund", "Wrong", "", None), ("dam", "Odd", "", None), ("closed", "Odd", "", None),
    ]  # fmt: skip
    assert (marked.id, marked.annotator, marked.prompt, marked.provenance["fields"]) == (
        "a", "u1", "When?", {"source": "ours"},
    )  # fmt: skip
    assert (unread.responses[0].marked, result.unread) == (False, {"answers to good": 1})
    assert [(r.id, r.annotator, quotes(r)[0][0]) for r in (first, second)] == [
        ("c#u1", "u1", "Two"), ("c#u2", "u2", "read"),
    ]  # fmt: skip
    assert read_feedback(tmp_path / "foreign.potato" / "config.yaml", "potato").records == result.records


def test_potato_refuses_marks_in_markup_and_on_items_that_are_not_there(tmp_path):
    folder = written("potato", tmp_path)
    items = [POTATO_ITEMS[0] | {"text": "<b>The</b> dam of \U0001f600 Lund was closed."}, POTATO_ITEMS[1]]
    (folder / "items.jsonl").write_text("".join(f"{json.dumps(item)}\n" for item in items))
    result = read_feedback(folder, "potato")
    assert [record.id for record in result.records] == ["b"]
    assert [("markup" in p.reason, "no data file holds" in p.reason) for p in result.problems] == [
        (True, False), (False, True), (False, True),
    ]  # fmt: skip


def test_json_min_is_read_by_its_words(tmp_path):
    result = read("label-studio-min", tmp_path)
    marked, unread = result.records
    assert quotes(marked) == [("1931", "Wrong", "", None)]
    assert (marked.prompt, marked.responses[0].correction) == ("When?", TEXT.replace("1931", "1932"))
    assert (unread.responses[0].marked, result.unread) == (False, {"answers to rating": 1})


def test_every_format_says_what_it_is():
    assert all(row.sentence and row.holds for row in FORMATS.values())
