"""Files of other tools: each adapter turns them into feedback records and back, and knows no database.

`READERS` and `WRITERS` are the formats by name. A reader yields the place of every record in its file with the record
or with all that is wrong with it; a writer says what it wrote and what its format has no place for.
"""

from spanwise.annotate.exchange.adapters import argilla, doccano, label_studio, native, qa_feedback, thresh, trl
from spanwise.annotate.exchange.adapters.shared import Outcome, Reader, Writer, Written

READERS: dict[str, Reader] = {
    "spanwise": native.read,
    "qa-feedback": qa_feedback.read,
    "argilla": argilla.read,
    "label-studio": label_studio.read,
    "doccano": doccano.read,
    "thresh": thresh.read,
}
WRITERS: dict[str, Writer] = {
    "spanwise": native.write,
    "qa-feedback": qa_feedback.write,
    "argilla": argilla.write,
    "label-studio": label_studio.write,
    "doccano": doccano.write,
    "thresh": thresh.write,
    "trl-preference": trl.write_preference,
    "trl-unpaired": trl.write_unpaired,
    "trl-stepwise": trl.write_stepwise,
}

__all__ = ["READERS", "WRITERS", "Outcome", "Reader", "Writer", "Written"]
