#!/usr/bin/env bash
# Potato 2.12.1: of a span in several pieces the CoNLL-2003 export keeps the first piece, and says nothing of the others.
#
# Guess before running: with allow_discontinuous an annotator marks "have ... been" as one error of two pieces. The export
# tags both words, as two entities or one, or warns that CoNLL cannot hold such a span, as it warns of items without text.
#
# What happens: "have" is tagged, "been" is O like every word that was found right. No warning; one entity is counted.
#
# Why it matters: CoNLL is what token classifiers train on. Half of what was marked as wrong is taught as right, and the
# more an error is spread over a sentence (agreement, split verbs), the more of it. The JSON Lines export keeps the pieces
# under `additional_parts`. Spanwise reads each piece as a mark (`--from potato`).
#
# Usage: PYTHON=path/to/python findings/potato_pieces.sh
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
from potato.item_state_management import SpanAnnotation
from potato.phase import UserPhase
from potato.user_state_management import InMemoryUserState

print("potato", version("potato-annotation"))
assert version("potato-annotation") == "2.12.1", "another version: look again"
text = "The dam have long been closed ."


def at(word):
    return {"start": text.index(word), "end": text.index(word) + len(word)}


with tempfile.TemporaryDirectory() as name:
    folder = Path(name)
    (folder / "items.jsonl").write_text(json.dumps({"id": "a", "text": text}))
    (folder / "config.yaml").write_text(
        "task_dir: .\nannotation_task_name: t\ndata_files: [items.jsonl]\noutput_annotation_dir: out\n"
        "item_properties: {id_key: id, text_key: text}\nannotation_schemes:\n"
        "  - {annotation_type: span, name: errors, description: d, labels: [Verb], allow_discontinuous: true}\n"
    )
    span = SpanAnnotation("errors", "Verb", "Verb", **at("have"), additional_parts=[{**at("been"), "text": "been"}])
    state = InMemoryUserState("ann", 10)
    state.current_phase_and_page = (UserPhase.ANNOTATION, "page")
    state.add_span_annotation("a", span, "true")
    state.save(str(folder / "out" / "ann"))
    result = CoNLL2003Exporter().export(build_export_context(str(folder / "config.yaml")), name)
    rows = [line.split("\t") for line in (folder / "annotations.conll").read_text().splitlines() if "\t" in line]
    tags = {row[0]: row[-1] for row in rows}
    print(tags, "warnings:", result.warnings, "entities:", result.stats["num_entities"])
    assert (tags["have"], tags["been"], tags["closed"]) == ("B-Verb", "O", "O")
    assert (result.warnings, result.stats["num_entities"]) == ([], 1)
print('So it is: "been" was marked and is exported as a word without an error.')
PYTHON
