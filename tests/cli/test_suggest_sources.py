"""`annotate suggest` with any reward source: marks of one's own class, proposed to annotators."""

import pytest
from doubles.annotation import small
from typer.testing import CliRunner

from spanwise.annotate.store.items import NewItem, add_items
from spanwise.annotate.store.setup import open_project
from spanwise.annotate.work.suggestions import suggestions_for
from spanwise.cli import app
from spanwise.core.errors import ConfigError

MODULE = '''
from spanwise.feedback import SegmentScore, SegmentScores
from spanwise.text import Span

class Oslo:
    """Blames the word Oslo."""
    density, version = "token", "1"

    def __init__(self, category):
        self.name, self.category = "oslo", category

    def score(self, samples):
        return [SegmentScores(self._scores(sample.response)) for sample in samples]

    def _scores(self, text):
        at = text.find("Oslo")
        return () if at < 0 else (SegmentScore(Span(at, at + 4), -1.0),)
'''
CONFIG = "sources:\n  oslo: {{kind: class, class: 'oslo_source:Oslo', options: {{category: {category}}}}}\n"


@pytest.fixture
def project(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "oslo_source.py").write_text(MODULE)
    database, described = open_project(tmp_path / "p", preset_name="qa-feedback")
    with database.write() as connection:
        (item_id,) = add_items(connection, described, [NewItem(small("x"), "x", {}, "normal", 0.0, 1)], batch_id=None)
    yield tmp_path, database, item_id
    database.close()


def _suggest(folder, category: str):
    (folder / "sources.yaml").write_text(CONFIG.format(category=category))
    return CliRunner().invoke(app, ["annotate", "suggest", str(folder / "p"), str(folder / "sources.yaml")])


def test_marks_of_a_source_of_ones_own_are_proposed(project):
    folder, database, item_id = project
    said = _suggest(folder, "factuality")
    assert said.exit_code == 0, said.output
    assert said.stdout == "oslo: judged 1 items.\n"
    (suggestion,) = suggestions_for(database, item_id)
    assert [(span.target, span.quote) for span in suggestion.body.spans] == [("r1", "Oslo")]


def test_a_source_that_no_category_fits_is_refused(project):
    folder, database, item_id = project
    said = _suggest(folder, "weather")
    assert isinstance(said.exception, ConfigError)
    assert "weather" in str(said.exception)
    assert suggestions_for(database, item_id) == ()
