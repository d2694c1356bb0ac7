"""Feedback on parts of answers: the records, their files, their kinds of error, their figures. No torch here."""

from spanwise.feedback.files import iter_records, load_or_raise, read_records, write_records
from spanwise.feedback.problems import Place, Problem, ReadResult
from spanwise.feedback.prompts import DemonstrationRecord, PromptRecord, build_prompt
from spanwise.feedback.schema import (
    SCHEMA_VERSION,
    Evidence,
    FeedbackRecord,
    MissingInfo,
    Passage,
    Preference,
    Response,
    SpanMark,
    mark,
)
from spanwise.feedback.statistics.records import Statistics, describe
from spanwise.feedback.taxonomy import Category, Taxonomy, get_taxonomy

__all__ = [
    "SCHEMA_VERSION",
    "Category",
    "DemonstrationRecord",
    "Evidence",
    "FeedbackRecord",
    "MissingInfo",
    "Passage",
    "Place",
    "Preference",
    "Problem",
    "PromptRecord",
    "ReadResult",
    "Response",
    "SpanMark",
    "Statistics",
    "Taxonomy",
    "build_prompt",
    "describe",
    "get_taxonomy",
    "iter_records",
    "load_or_raise",
    "mark",
    "read_records",
    "write_records",
]
