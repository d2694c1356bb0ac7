"""What Label Studio's own package makes of tasks and their labeling config: whether it accepts every annotation."""

import json
import sys
from pathlib import Path

from label_studio_sdk.label_interface import LabelInterface
from label_studio_sdk.types import AnnotationRequest

tasks = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
interface = LabelInterface(Path(f"{sys.argv[1]}.config.xml").read_text(encoding="utf-8"))
interface.validate()
found = []
for task in tasks:
    marks = []
    for annotation in task["annotations"]:
        errors = interface._validate_object(annotation, return_errors=True)
        if errors:
            sys.exit(f"{task['data']['id']}: {errors}")
        who = annotation.get("completed_by")
        known = {"completed_by": 1} if isinstance(who, dict) and who["email"] else {}  # members by e-mail have an id
        AnnotationRequest(**annotation | known)
        for region in annotation["result"]:
            if region["type"] == "labels":
                text = task["data"][region["to_name"]]
                value = region["value"]
                marks.append([region["to_name"], text[value["start"] : value["end"]], value["labels"][0]])
    found.append({"id": task["data"]["id"], "marks": marks})
sys.stdout.write(json.dumps(found))
