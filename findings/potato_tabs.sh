#!/usr/bin/env bash
# Potato 2.12.1: a tab between two words is taken away, so annotators read one word, and offsets count that other text.
#
# Guess before running: the page shows "runs of spaces and tabs" as one blank, as the docstring of
# potato.server_utils.span_text.normalize_display_text has it. "dam<TAB>of" is shown as "dam of", of the same length, so
# that offsets behind a single tab are those of the data file.
#
# What happens: control characters are removed first, and a tab is one. The page shows "damof". Every offset behind it is
# one short of the data file for each tab, and JSON Lines and CoNLL exports hold "damof", a word that stands nowhere.
#
# Why it matters: answers with code, tables or pasted cells have tabs. Whoever applies the exported start and end to the
# text of the data file, which is the only text there is, gets shifted words without a warning; a model learns them.
# Spanwise reads a Potato project by the text that the page showed (`--from potato`).
#
# Usage: PYTHON=path/to/python findings/potato_tabs.sh
# PYTHON has potato-annotation 2.12.1 (`make test-tools` leaves one in .venv/tools/potato-annotation-2.12.1). Succeeds as
# long as this is so.
set -euo pipefail
"${PYTHON:-.venv/tools/potato-annotation-2.12.1/bin/python}" -W ignore - <<'PYTHON'
import json
import tempfile
from importlib.metadata import version
from pathlib import Path

from potato.export.cli import build_export_context
from potato.export.conll_2003_exporter import CoNLL2003Exporter
from potato.export.tabular_exporter import JSONLExporter
from potato.item_state_management import SpanAnnotation
from potato.phase import UserPhase
from potato.server_utils.span_text import instance_dom_text, normalize_display_text
from potato.user_state_management import InMemoryUserState

print("potato", version("potato-annotation"))
assert version("potato-annotation") == "2.12.1", "another version: look again"
text = "The dam\tof Lund was closed."
shown = instance_dom_text(normalize_display_text(text))
print("in the data file:", repr(text), "on the page:", repr(shown))
assert shown == "The damof Lund was closed."

with tempfile.TemporaryDirectory() as name:
    folder = Path(name)
    (folder / "items.jsonl").write_text(json.dumps({"id": "a", "text": text}))
    (folder / "config.yaml").write_text(
        "task_dir: .\nannotation_task_name: t\ndata_files: [items.jsonl]\noutput_annotation_dir: out\n"
        "item_properties: {id_key: id, text_key: text}\n"
        "annotation_schemes: [{annotation_type: span, name: errors, description: d, labels: [Wrong]}]\n"
    )
    start = shown.index("Lund")  # what the browser sends for a selection of "Lund"
    state = InMemoryUserState("ann", 10)
    state.current_phase_and_page = (UserPhase.ANNOTATION, "page")
    state.add_span_annotation("a", SpanAnnotation("errors", "Wrong", "Wrong", start, start + 4), "true")
    state.save(str(folder / "out" / "ann"))
    context = build_export_context(str(folder / "config.yaml"))
    results = [exporter().export(context, name) for exporter in (JSONLExporter, CoNLL2003Exporter)]
    (row,) = map(json.loads, (folder / "annotations.jsonl").read_text().splitlines())
    span = row["spans"]["errors"][0]
    words = text[span["start"] : span["end"]]
    print("exported:", {key: span[key] for key in ("start", "end", "text")}, "there in the data file:", repr(words))
    print("warnings:", [warning for result in results for warning in result.warnings])
    conll = (folder / "annotations.conll").read_text()
    assert (span["text"], words) == ("Lund", " Lun")
    assert "damof\t" in conll
    assert not any(result.warnings for result in results)
print('So it is: the offsets of "Lund" cut " Lun" out of the data file, and CoNLL has the word "damof".')
PYTHON
