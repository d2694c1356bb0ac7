"""Writes a project with Potato and prints the words that its own export gives of every piece of a span: FOLDER."""

import json
import sys
from pathlib import Path

from potato.export.cli import build_export_context
from potato.export.tabular_exporter import JSONLExporter
from potato.item_state_management import Label, SpanAnnotation
from potato.phase import UserPhase
from potato.server_utils.span_text import instance_dom_text, normalize_display_text
from potato.user_state_management import InMemoryUserState

TEXT = " The  dam\tof \U0001f600 Lund & was\x07 closed. "
CONFIG = """\
task_dir: .
annotation_task_name: answers
data_files: [items.jsonl]
item_properties: {id_key: id, text_key: text}
output_annotation_dir: annotation_output
annotation_schemes:
  - {annotation_type: span, name: errors, description: Mark., labels: [Wrong, Odd], allow_discontinuous: true}
  - {annotation_type: radio, name: good, description: Is it good, labels: ["yes", "no"]}
"""
folder = Path(sys.argv[1])
folder.mkdir()
(folder / "config.yaml").write_text(CONFIG)
items = [{"id": "a", "text": TEXT}, {"id": "b", "text": "Nobody read this."}]
(folder / "items.jsonl").write_text("".join(f"{json.dumps(item)}\n" for item in items))
shown = instance_dom_text(normalize_display_text(TEXT))


def span(words: str, name: str, **more: object) -> SpanAnnotation:
    start = shown.index(words)
    return SpanAnnotation("errors", name, name, start, start + len(words), **more)


start = shown.index("closed")
pieces = [{"start": start, "end": start + len("closed"), "text": "closed"}]
state = InMemoryUserState("ann", 10)
state.current_phase_and_page = (UserPhase.ANNOTATION, "page")
state.add_span_annotation("a", span("Lund", "Wrong"), "true")
state.add_span_annotation("a", span("&", "Odd", additional_parts=pieces), "true")
state.add_label_annotation("b", Label("good", "no"), "true")
state.save(str(folder / "annotation_output" / "ann"))

JSONLExporter().export(build_export_context(str(folder / "config.yaml")), str(folder / "out"))
rows = [json.loads(line) for line in (folder / "out" / "annotations.jsonl").read_text().splitlines()]
spans = [one for row in rows for listed in row["spans"].values() for one in listed]
words = [piece["text"] for one in spans for piece in (one, *one.get("additional_parts", ()))]
sys.stdout.write(f"{json.dumps(sorted(words))}\n")
