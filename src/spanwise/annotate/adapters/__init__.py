"""Files of other tools: each adapter turns them into feedback records and back, and knows no database.

`READERS` and `WRITERS` are the formats by name. A reader yields the place of every record in its file with the record
or with all that is wrong with it; a writer says what it wrote and what its format has no place for.
"""

from spanwise.annotate.adapters import native, qa_feedback
from spanwise.annotate.adapters.shared import Outcome, Reader, Writer, Written

READERS: dict[str, Reader] = {
    "spanwise": native.read,
    "qa-feedback": qa_feedback.read,
}
WRITERS: dict[str, Writer] = {
    "spanwise": native.write,
    "qa-feedback": qa_feedback.write,
}

__all__ = ["READERS", "WRITERS", "Outcome", "Reader", "Writer", "Written"]
