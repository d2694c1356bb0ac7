"""What Argilla's own package makes of a file: the spans and texts of every user's answers, by record."""

import json
import sys
from uuid import UUID

from argilla._models import UserResponseModel
from argilla.records._io._json import JsonIO

found = []
for record in JsonIO._records_from_json(sys.argv[1]):
    answers = {}
    for response in record.responses:
        UUID(response.user_id)
        answers.setdefault(response.user_id, []).append(response)
    for user, responses in answers.items():
        values = {response.question_name: {"value": response.value} for response in responses}
        (status,) = {response.status.value for response in responses}
        UserResponseModel(values=values, status=status, user_id=user)
    found.append(
        {
            "id": record.id,
            "texts": {name: record.fields[name] for name in record.fields},
            "status": sorted({r.status.value for r in record.responses}),
            "marks": {r.question_name: r.value for r in record.responses if r.question_name.startswith("spans_")},
        }
    )
sys.stdout.write(json.dumps(found))
