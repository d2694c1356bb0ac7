"""The table of formats in the documentation is the registry."""

from pathlib import Path

from spanwise.feedback.formats.registry import FORMATS, names_of_formats

DOCS = Path(__file__).parents[3] / "docs" / "guides"
HEAD = "| format | what it is | read as | written from | holds | what its writer cannot keep |"


def _row(name):
    row = FORMATS[name]
    read = ["feedback"] * (name in names_of_formats("read")) + ["edits"] * (name in names_of_formats("read as edits"))
    written = ["feedback"] * (name in names_of_formats("written"))
    written += ["edits"] * (name in names_of_formats("made of edit pairs"))
    cannot_keep = row.cannot_keep or ("nothing" if written else "-")
    cells = (f"`{name}`", row.sentence, ", ".join(read) or "-", ", ".join(written) or "-", ", ".join(row.holds))
    return f"| {' | '.join((*cells, cannot_keep))} |"


def test_the_table_of_formats_is_the_registry():
    lines = (DOCS / "feedback.md").read_text().splitlines()
    start = lines.index(HEAD)
    assert lines[start + 2 : start + 2 + len(FORMATS)] == [_row(name) for name in FORMATS]
    assert not lines[start + 2 + len(FORMATS)].startswith("|")


def test_other_pages_lead_to_the_table():
    assert all("(feedback.md#formats)" in (DOCS / name).read_text() for name in ("annotate.md", "edits.md"))
