"""What Thresh's own package makes of a list and its interface: the marks of every entry, cut as its pages cut them."""

import json
import sys

from thresh import load_interface

entries = load_interface(f"{sys.argv[1]}.interface.yml").load_annotations(sys.argv[1])
found = []
for entry in entries:
    units = entry.target.encode("utf-16-le")
    marks = [
        [units[2 * start : 2 * end].decode("utf-16-le"), edit.__editname__()]
        for edit in entry.edits
        for start, end in edit.output_idx
    ]
    found.append({"id": entry.id, "marks": marks})
sys.stdout.write(json.dumps(found))
