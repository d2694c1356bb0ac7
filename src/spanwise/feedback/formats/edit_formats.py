"""Files of edit pairs by the name of their format; every format of people is read, ours is written."""

from enum import StrEnum
from pathlib import Path

from spanwise.feedback.edits import EditPair, pairs_of_corrections
from spanwise.feedback.files import read_records
from spanwise.feedback.formats.mlqe_pe import import_post_edits
from spanwise.feedback.formats.qa_feedback import import_records
from spanwise.feedback.formats.thresh import import_thresh
from spanwise.feedback.problems import ReadResult
from spanwise.feedback.schema import FeedbackRecord


class EditFormat(StrEnum):
    """The formats that edit pairs are read from."""

    PAIRS = "pairs"
    """JSONL with original and edited on every line, and what else an edit pair has."""
    FEEDBACK = "feedback"
    """Feedback records of ours; responses with a correction are pairs."""
    QA_FEEDBACK = "qa-feedback"
    MLQE_PE = "mlqe-pe"
    THRESH = "thresh"


def read_edits(path: Path, form: EditFormat = EditFormat.PAIRS) -> ReadResult[EditPair]:
    """The pairs of `path` and all problems; raises DataError when it is no file of that format."""
    if form is EditFormat.PAIRS:
        return read_records(path, EditPair)
    if form is EditFormat.MLQE_PE:
        return import_post_edits(path)
    if form is EditFormat.THRESH:
        return import_thresh(path)
    records = import_records(path) if form is EditFormat.QA_FEEDBACK else read_records(path, FeedbackRecord)
    return ReadResult(list(pairs_of_corrections(records.records)), records.problems)
