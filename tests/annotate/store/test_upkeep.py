"""The database's shape and its care: migrations, copies, checks; and the boundaries that spans snap to."""

import re
import sqlite3

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from doubles.annotation import TEXT, World, shared_world
from doubles.feedback import texts
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import create_engine, text

from spanwise.annotate.store.database import Database, sqlite_url
from spanwise.annotate.store.differences import MOST_EDITS, changed_words, diff, rebuild
from spanwise.annotate.store.items import get_item, segments_of
from spanwise.annotate.store.project import PRESETS, ProjectConfig, preset
from spanwise.annotate.store.setup import guideline_text, open_project, register
from spanwise.annotate.store.tables import metadata
from spanwise.annotate.store.upkeep import backup, check, upgrade
from spanwise.core.errors import ConfigError, DataError


def _shape(path):
    """Tables, columns, indexes and constraints, however they were made; a table that was renamed is quoted."""
    with sqlite3.connect(path) as connection:
        rows = connection.execute(
            "SELECT type, name, sql FROM sqlite_master WHERE type IN ('table', 'index')"
        ).fetchall()
    connection.close()
    return {
        (k, name): "".join((sql or "").replace('"', "").split()) for k, name, sql in rows if name != "alembic_version"
    }


def test_migrations_lead_to_the_shape_that_the_code_means(place, tmp_path):
    database = Database(place)
    with database.read() as connection:
        differences = compare_metadata(MigrationContext.configure(connection), metadata)
    database.close()
    assert [d for d in differences if "ix_slot_queue" not in str(d)] == []
    if place.startswith("sqlite"):
        engine = create_engine(sqlite_url(tmp_path / "direct.db"))
        metadata.create_all(engine)
        engine.dispose()
        wanted = _shape(tmp_path / "direct.db")
        assert {key: sql for key, sql in _shape(tmp_path / "annotations.db").items() if key in wanted} == wanted


def test_an_upgrade_is_done_once_and_a_newer_database_is_refused(tmp_path):
    database = Database(sqlite_url(tmp_path / "a.db"))
    assert upgrade(database).before is None
    assert upgrade(database).before == upgrade(database).after
    with database.write() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(DataError, match="newer"):
        upgrade(database)
    database.close()


def test_a_copy_made_while_others_write_holds_everything(world, tmp_path):
    if world.database.dialect != "sqlite":
        with pytest.raises(DataError, match="pg_dump"):
            backup(world.database, tmp_path / "b.db")
        return
    world.items(3)
    world.submit("ann", world.claim())
    backup(world.database, tmp_path / "b.db")
    copy = Database(sqlite_url(tmp_path / "b.db"))
    assert check(copy) == check(world.database)
    assert check(copy).ok
    copy.close()
    with pytest.raises(DataError, match="there already"):
        backup(world.database, tmp_path / "b.db")


def test_check_finds_damage(tmp_path):
    database = Database(sqlite_url(tmp_path / "a.db"))
    assert not check(database).ok
    upgrade(database)
    made = World(sqlite_url(tmp_path / "a.db"))
    made.items(1)
    made.claim()
    made.close()
    with sqlite3.connect(tmp_path / "a.db") as raw:
        raw.execute("DROP TRIGGER text_is_never_updated")
        raw.execute("UPDATE text SET content = 'other' WHERE content = 'In Rome.'")
        raw.execute("UPDATE slot SET state = 'submitted'")
        raw.execute("DELETE FROM import_batch")
    raw.close()
    found = " ".join(check(database).problems)
    assert "was changed" in found
    assert "without an annotation" in found
    database.close()


def test_a_project_opens_again_as_it_was_and_changes_become_versions(tmp_path):
    database, first = open_project(tmp_path / "p", preset_name="qa-feedback")
    database.close()
    database, again = open_project(tmp_path / "p")
    assert again == first
    config = first.config
    fewer = config.model_copy(update={"categories": config.categories[1:], "guidelines": "Be kind."})
    changed = register(database, fewer)
    assert (changed.label_set_version, changed.guideline_version) == (2, 2)
    assert guideline_text(database, changed, 1) == config.guidelines
    assert guideline_text(database, changed, 2) == "Be kind."
    assert register(database, config).label_set_version == 1
    database.close()


def test_a_folder_without_a_project_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="preset"):
        open_project(tmp_path)
    with pytest.raises(ConfigError, match="choose one of"):
        preset("none")
    for url in ("mysql://x/y", "nonsense"):
        with pytest.raises(ConfigError):
            Database(url)


@pytest.mark.parametrize("name", PRESETS)
def test_presets_are_whole(name, tmp_path):
    config = preset(name)
    config.save(tmp_path / "p.yaml")
    assert ProjectConfig.load(tmp_path / "p.yaml") == config
    assert config.guidelines


@pytest.mark.parametrize("bad", [
    {"name": "Bad Name"}, {"tasks": []}, {"tasks": ["spans"]}, {"overlap": 0}, {"unknown": 1},
    {"categories": [{"name": "a"}, {"name": "a"}]},
    {"categories": [{"name": "a", "hotkey": "x"}, {"name": "b", "hotkey": "x"}]},
    {"categories": [{"name": "a", "colour": "red"}]},
])  # fmt: skip
def test_bad_descriptions_are_refused(bad):
    with pytest.raises(ConfigError):
        ProjectConfig.from_values({"name": "p", "tasks": ["edit"]} | bad, place="p.yaml")


@given(texts)
def test_boundaries_lie_in_the_text_and_training_units_partition_it(sample):
    found = segments_of(sample)
    for units in (found.sentences, found.sub_sentences):
        assert "".join(sample[start:end] for start, end in units) == sample
    words = [sample[start:end] for start, end in found.words]
    assert "".join(words) == "".join(sample.split())
    assert not {edge for bound in found.words for edge in bound} & set(found.joined) or not sample.isprintable()
    assert all(0 < offset < len(sample) for offset in found.joined)


@pytest.mark.parametrize(("sample", "joined"), [
    ("abc", ()), ("e\u0301a", (1,)), ("👨‍👩‍👧", (1, 2, 3, 4)), ("🇪🇺🇩🇪", (1, 3)), ("a\U0001f44d\U0001f3fdb", (2,)),
])  # fmt: skip
def test_graphemes_hold_together(sample, joined):
    assert segments_of(sample).joined == joined


def test_runs_without_spaces_are_cut_into_words():
    assert len(segments_of("今日は良い天気です。").words) > 3
    assert segments_of("well-known, isn't").words == ((0, 11), (12, 17))


def test_stored_boundaries_are_those_that_are_computed():
    world = shared_world()
    item = get_item(world.database, world.project, world.claim().item_id)
    assert item.responses[0].segments == segments_of(TEXT)


pieces = st.lists(st.sampled_from(["a", "b", "c", "🍎", "  ", "\n"]), max_size=10).map(" ".join)


@settings(deadline=None)
@given(pieces, pieces)
def test_differences_rebuild_the_new_text_with_as_few_changes_as_can_be(old, new):
    ops = diff(old, new)
    assert rebuild(old, ops) == new
    assert "".join(old[op.start : op.end] for op in ops if op.sign != "+") == old
    before, after = _pieces(old), _pieces(new)
    kept = sum(len(_pieces(old[op.start : op.end])) for op in ops if op.sign == "=")
    assert kept == _longest_common(before, after)


def _pieces(sample):

    return re.findall(r"\s+|\S+", sample)


def _longest_common(a, b):
    row = [0] * (len(b) + 1)
    for x in a:
        above = row[:]
        for j, y in enumerate(b):
            row[j + 1] = above[j] + 1 if x == y else max(above[j + 1], row[j])
    return row[-1]


def test_changed_words_are_counted_by_place():
    old, new = "one two three four", "one 2 3 three four five"
    assert changed_words(old, diff(old, new)) == 3
    assert changed_words(old, diff(old, old)) == 0


def test_texts_that_have_nothing_in_common_are_replaced_at_once():
    old, new = (" ".join(f"{letter}{n}" for n in range(MOST_EDITS)) for letter in "ab")
    ops = diff(old, new)
    assert rebuild(old, ops) == new
    assert [op.sign for op in ops] == ["-", "+"]


def test_suggestions_may_be_off_in_so_many_words(tmp_path):
    (tmp_path / "project.yaml").write_text("name: p\ntasks: [edit]\nsuggestions: off\n")
    assert ProjectConfig.load(tmp_path / "project.yaml").suggestions == "off"
