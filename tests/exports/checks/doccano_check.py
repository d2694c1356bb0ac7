"""What doccano's own client makes of lines: examples with spans that its models accept, cut as its pages cut them."""

import json
import sys
from pathlib import Path

from doccano_client.models.example import Example
from doccano_client.models.label import Span

found = []
for line in Path(sys.argv[1]).read_text(encoding="utf-8").splitlines():
    row = json.loads(line)
    Example(id=None, text=row["text"], meta={key: row[key] for key in row if key not in ("text", "label")})
    units = row["text"].encode("utf-16-le")
    spans = [label for label in row["label"] if isinstance(label, list)]
    for start, end, _ in spans:
        Span(id=None, example=1, user=None, label=1, start_offset=start, end_offset=end)
    marks = [[units[2 * start : 2 * end].decode("utf-16-le"), name] for start, end, name in spans]
    found.append({"id": row["id"], "marks": marks})
sys.stdout.write(json.dumps(found))
