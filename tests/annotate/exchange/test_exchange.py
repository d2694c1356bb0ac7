"""Files in, files out: nothing is lost on the way through the database, and nothing bad gets in."""

import gzip
import json
import random

import pytest
from doubles.annotation import TEXT, World, shared_world, spans_only, wrong_fact
from doubles.feedback import qa_file, real_records, records, small_item, small_record, thorough
from hypothesis import given

from spanwise.annotate.exchange.exports import export_file, iter_exported, since_when
from spanwise.annotate.exchange.imports import ImportSettings, import_file, list_batches, roll_back
from spanwise.annotate.exchange.records import record_of_item
from spanwise.annotate.manage.listing import ItemFilter, list_items
from spanwise.annotate.store.annotations import Selection
from spanwise.annotate.store.items import NewItem, add_items, get_item
from spanwise.annotate.store.project import preset
from spanwise.annotate.store.refusals import AccessError, UnknownError
from spanwise.annotate.store.upkeep import check
from spanwise.annotate.work.submission import reopen
from spanwise.core.errors import ConfigError, DataError
from spanwise.feedback.files import load_or_raise, write_records
from spanwise.feedback.formats.registry import FORMATS, Format, iter_feedback
from spanwise.feedback.schema import FeedbackRecord


@pytest.fixture
def full(place):
    made = World(place, preset("qa-feedback"))
    yield made
    made.close()


def _write(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


@pytest.mark.parametrize("count", [25, pytest.param(500, marks=pytest.mark.slow)])
def test_real_feedback_goes_through_the_database_unchanged(count, full, tmp_path):
    with gzip.open(qa_file("dev_feedback.json.gz")) as stream:
        items = json.load(stream)[:count]
    source = tmp_path / "dev_feedback.json"
    source.write_text(json.dumps(items))
    report = import_file(full.database, full.project, source, "qa-feedback")
    assert (report.items, report.annotations, report.rejected) == (count, count, 0)
    done = export_file(full.database, full.project, tmp_path / "out.json", "qa-feedback")
    assert json.loads((tmp_path / "out.json").read_text()) == items
    assert (done.rows, done.left_out) == (count, {})
    export_file(full.database, full.project, tmp_path / "out.jsonl", "spanwise")
    exported = load_or_raise(tmp_path / "out.jsonl", FeedbackRecord)
    assert [e.model_dump(exclude={"provenance"}) for e in exported] == [
        r.model_dump(exclude={"provenance"}) for r in real_records()[:count]
    ]
    again = import_file(full.database, full.project, source, "qa-feedback")
    assert (again.items, again.annotations, again.duplicates) == (0, 0, count)
    assert check(full.database).ok


@thorough
@given(record=records())
def test_any_record_goes_through_the_database_unchanged(record, tmp_path):

    world = shared_world()
    path = tmp_path / "one.jsonl"
    record = record.model_copy(update={"id": f"{random.Random(record.model_dump_json()).random()}-{record.id}"})
    write_records(path, [record])
    report = import_file(world.database, world.project, path, "spanwise")
    said = record.preferences or any(r.marked or r.correction is not None for r in record.responses)
    assert (report.rejected, report.annotations) == (0, int(bool(said)))
    if said:
        with world.database.read() as connection:
            item = list_items(world.database, world.project, ItemFilter(query=record.id)).rows
            assert record in list(iter_exported(connection, world.project, Selection(kinds=("imported",))))
        assert item
    roll_back(world.database, world.project, report.batch_id)


def test_bad_lines_are_refused_one_by_one(world, tmp_path):
    good = small_record().model_dump(mode="json")
    bad_span = json.loads(json.dumps(good)) | {"id": "b"}
    bad_span["responses"][0]["spans"][0]["end"] = 9999
    lines = [json.dumps(good), "not json", json.dumps(bad_span), json.dumps(good), '{"id": "c", "prompt": "\\u0000"}']
    (tmp_path / "in.jsonl").write_text("\n".join([*lines, json.dumps(good | {"id": "last"})]))
    report = import_file(world.database, world.project, tmp_path / "in.jsonl", "spanwise")
    assert (report.items, report.rejected) == (2, 4)
    assert sorted({row.line for row in report.problems}) == [2, 3, 4, 5]
    assert all(row.reason for row in report.problems)


def test_the_id_of_another_item_is_refused_and_more_feedback_on_the_same_item_is_taken(world, tmp_path):
    first = small_record().model_copy(update={"provenance": {}})
    import_file(world.database, world.project, _records(tmp_path, first), "spanwise")
    other = first.model_copy(update={"prompt": "Something else?"})
    report = import_file(world.database, world.project, _records(tmp_path, other), "spanwise")
    assert (report.items, report.rejected) == (0, 1)
    again = first.model_copy(
        update={"id": f"{first.id}#bob", "annotator": "bob", "provenance": {"annotation": {"item": first.id}}}
    )
    report = import_file(world.database, world.project, _records(tmp_path, again), "spanwise")
    assert (report.items, report.annotations) == (0, 1)


def _records(tmp_path, *found):
    write_records(tmp_path / "records.jsonl", found)
    return tmp_path / "records.jsonl"


def test_an_import_can_be_taken_back_until_people_work_on_it(world, tmp_path):
    report = import_file(world.database, world.project, _records(tmp_path, small_record()), "spanwise")
    with pytest.raises(AccessError):
        roll_back(world.database, world.project, report.batch_id, by=world.user("ann"))
    assert roll_back(world.database, world.project, report.batch_id, by=world.boss) == 1
    assert list_items(world.database, world.project).total == 0
    assert list_batches(world.database, world.project)[0].rolled_back_at
    second = import_file(world.database, world.project, _records(tmp_path, small_record()), "spanwise")
    world.claim()
    with pytest.raises(DataError, match="worked on"):
        roll_back(world.database, world.project, second.batch_id)
    with pytest.raises(UnknownError):
        roll_back(world.database, world.project, "none")


def test_an_import_that_breaks_off_takes_itself_back(world, tmp_path, monkeypatch):
    def breaks(path, unit):
        yield from iter_feedback(path, "spanwise", unit)
        raise KeyboardInterrupt

    monkeypatch.setitem(FORMATS, "breaking", Format(name="breaking", sentence="", holds=("marks",), read=breaks))
    rows = [small_record().model_copy(update={"id": f"r{n}"}) for n in range(60)]
    with pytest.raises(KeyboardInterrupt):
        import_file(world.database, world.project, _records(tmp_path, *rows), "breaking")
    assert list_items(world.database, world.project).total == 0


def test_unreadable_files_and_unknown_formats_are_refused(world, tmp_path):
    with pytest.raises(DataError):
        import_file(world.database, world.project, tmp_path / "none.jsonl", "spanwise")
    with pytest.raises(ConfigError):
        import_file(world.database, world.project, tmp_path, "excel")
    with pytest.raises(ConfigError):
        export_file(world.database, world.project, tmp_path / "x", "excel")


def test_oversized_texts_are_refused(world, tmp_path):
    row = {"id": "big", "prompt": "?", "responses": [{"text": "word " * 50_000}]}
    report = import_file(world.database, world.project, _write(tmp_path / "big.jsonl", [row]), "spanwise")
    assert (report.items, report.rejected) == (0, 1)


def test_gold_records_need_an_answer(world, tmp_path):
    rows = [small_record().model_dump(mode="json"), {"id": "b", "prompt": "?", "responses": [{"text": "x"}]}]
    settings = ImportSettings(purpose="gold")
    report = import_file(
        world.database, world.project, _write(tmp_path / "g.jsonl", rows), "spanwise", settings=settings
    )
    assert (report.items, report.annotations, report.rejected) == (1, 0, 1)


def test_work_of_people_is_exported_with_what_a_record_has_no_field_for(world, tmp_path):
    world.items(1)
    held = world.claim()
    first = world.submit("ann", held, {"spans": [wrong_fact()], "comment": "sure"})
    world.submit(
        "ann", reopen(world.database, world.project, world.user("ann"), first.annotation_id), {"spans": [wrong_fact()]}
    )
    export_file(world.database, world.project, tmp_path / "o.jsonl", "spanwise")
    (record,) = load_or_raise(tmp_path / "o.jsonl", FeedbackRecord)
    assert (record.id, record.annotator, record.responses[0].marked) == ("item-0#ann/v2", "ann", True)
    assert record.responses[0].spans[0].quote == TEXT[:21]
    assert not record.responses[1].marked
    told = record.provenance["annotation"]
    assert (told["item"], told["version"], told["active_seconds"]) == ("item-0", 2, 1.5)
    manifest = json.loads((tmp_path / "o.jsonl.manifest.json").read_text())
    assert (manifest["rows"], manifest["format"]) == (1, "spanwise")


def test_anonymous_exports_name_nobody(world, tmp_path):
    world.items(1)
    world.submit("ann", world.claim())
    for name in ("a", "b"):
        export_file(world.database, world.project, tmp_path / name, "spanwise", Selection(anonymise=True))
    text = (tmp_path / "a").read_text()
    assert 'ann"' not in text.replace('"annotation"', "")
    assert world.user("ann").id not in text
    assert text == (tmp_path / "b").read_text()


def test_work_of_people_is_exported_as_qa_feedback(full, tmp_path):
    (tmp_path / "in.json").write_text(json.dumps([small_item()]))
    import_file(full.database, full.project, tmp_path / "in.json", "qa-feedback")
    body = {"no_errors": ["r1"], "corrections": [{"text": "Rome."}]}
    pairs = [{"a": f"r{b}", "b": f"r{a}", "choice": "a"} for a in range(1, 5) for b in range(a + 1, 5)]
    full.submit("ann", full.claim(), body | {"preferences": pairs})
    done = export_file(full.database, full.project, tmp_path / "o.json", "qa-feedback", Selection(kinds=("human",)))
    (item,) = json.loads((tmp_path / "o.json").read_text())
    assert (done.rows, done.left_out) == (1, {})
    assert item["preference"] == [2] * 6
    assert (item["feedback"]["errors"], item["feedback"]["corrected-prediction"]) == ([], "Rome.")


LABEL_STUDIO = {
    "id": 3, "data": {"text": "💩 a\r\nfire truck"},
    "annotations": [{"completed_by": 5, "result": [
        {"type": "labels", "from_name": "l", "to_name": "text",
         "value": {"start": 6, "end": 10, "text": "fire", "labels": ["x"]}},
        {"type": "textarea", "from_name": "t", "to_name": "text", "value": {"text": ["better"]}},
    ]}],
}  # fmt: skip


def test_each_annotator_of_a_foreign_task_becomes_a_record_of_one_item(world, tmp_path):
    value = json.loads(json.dumps(LABEL_STUDIO))
    value["annotations"].append({"completed_by": 6, "was_cancelled": False, "result": []})
    path = _write(tmp_path / "f", [value])
    report = import_file(world.database, world.project, path, "label-studio")
    assert (report.items, report.annotations, report.rejected) == (1, 2, 0)


def test_projects_with_other_spans_keep_them(place):
    made = World(place, spans_only(overlap_rule="any"))
    made.items(1)
    inner = wrong_fact(id="b", start=4, quote=TEXT[4:21])
    assert made.submit("ann", made.claim(), {"spans": [wrong_fact(), inner]}).version == 1
    made.close()


def test_what_changed_since_the_last_export_is_exported_alone(world, tmp_path):
    world.items(3)
    first = world.submit("ann", world.claim())
    world.submit("ann", world.claim())
    world.clock.advance(seconds=10)

    def exported(since: str) -> list[str]:
        selection = Selection(since=since_when(world.database, world.project, since))
        export_file(world.database, world.project, tmp_path / "o.jsonl", "spanwise", selection)
        world.clock.advance(seconds=10)
        return [json.loads(line)["id"] for line in (tmp_path / "o.jsonl").read_text().splitlines()]

    assert exported("last") == ["item-0#ann", "item-1#ann"]  # there was none before
    assert exported("last") == []
    world.submit("ann", reopen(world.database, world.project, world.user("ann"), first.annotation_id))
    assert exported("last") == ["item-0#ann/v2"]
    assert exported("2026-01-02T03:04:06+00:00") == ["item-0#ann/v2"]
    assert len(exported("2026-01-02")) == 2
    with pytest.raises(DataError, match="is no time"):
        exported("yesterday")


def test_the_turns_of_a_conversation_go_through_the_database_unchanged(world):
    call = {
        "role": "assistant",
        "content": "",
        "tool_calls": [{"function": {"name": "find", "arguments": {"who": "Ada"}}}],
    }
    turns = [{"role": "user", "content": "who?"}, call, {"role": "tool", "content": "Ada"}]
    tools = [{"type": "function", "function": {"name": "find"}}]
    responses = [{"text": "It is Ada."}]
    record = FeedbackRecord(id="c", messages=turns, tools=tools, responses=responses, provenance={"from": "here"})
    new = NewItem(record, "c", {"from": "here"}, "normal", 0.0, 1)
    with world.database.write() as connection:
        (item_id,) = add_items(connection, world.project, [new], batch_id=None)
    assert record_of_item(get_item(world.database, world.project, item_id)) == record
