"""The rows of published sets in the table of formats."""

from spanwise.feedback.formats.contract import Format
from spanwise.feedback.formats.corpora import mlqe_pe, qa_feedback, toxic_spans

CORPORA = (
    Format(
        name="qa-feedback",
        sentence="the list of items of QA-Feedback (Wu et al. 2023)",
        holds=("marks", "edits", "preferences"),
        read=qa_feedback.read,
        write=qa_feedback.write,
        cannot_keep="records that are not four responses with feedback on the first; ids, annotators, model names",
        refusal=qa_feedback.refusal,
        unkept=qa_feedback.unkept,
    ),
    Format(
        name="toxic-spans",
        sentence="CSV of comments with the offsets of toxic characters",
        holds=("marks",),
        read=toxic_spans.read,
    ),
    Format(
        name="mlqe-pe",
        sentence="post-edited translations, a folder or .tar.gz of `*.mt`, `*.pe`, `*.src`",
        holds=("edits",),
        read_pairs=mlqe_pe.read_pairs,
    ),
)
