"""The rows of published sets in the table of formats."""

from spanwise.feedback.formats.contract import Format
from spanwise.feedback.formats.corpora import (
    hallucinations,
    helpsteer,
    m2,
    mlqe_pe,
    mqm,
    mt_bench,
    process,
    qa_feedback,
    ragtruth,
    toxic_spans,
    ultrafeedback,
)

CORPORA = (
    Format(
        name="qa-feedback",
        sentence="the list of items of QA-Feedback (Wu et al. 2023)",
        holds=("marks", "edits", "preferences"),
        read=qa_feedback.read,
        write=qa_feedback.write,
        cannot_keep="records that are not four responses with feedback on the first; ids, annotators, models, ratings",
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
    Format(
        name="ultrafeedback",
        sentence="UltraFeedback's instructions with rated completions",
        holds=("preferences", "ratings"),
        read=ultrafeedback.read,
    ),
    Format(
        name="helpsteer",
        sentence="HelpSteer 1, 2 and 3: rated answers, preferences and edits of NVIDIA's sets",
        holds=("edits", "preferences", "ratings"),
        read=helpsteer.read,
    ),
    Format(
        name="prm800k",
        sentence="PRM800K's solutions whose steps people rated",
        holds=("marks",),
        read=process.read_prm800k,
    ),
    Format(
        name="math-shepherd",
        sentence="Math-Shepherd's input and label, steps that a model judged",
        holds=("marks",),
        read=process.read_math_shepherd,
    ),
    Format(
        name="ragtruth",
        sentence="answers with `labels` of spans without a ground, RAGTruth's with `source_info.jsonl` beside them",
        holds=("marks",),
        read=ragtruth.read,
    ),
    Format(
        name="felm",
        sentence="FELM's answers in segments with a factuality label each",
        holds=("marks",),
        read=hallucinations.read_felm,
    ),
    Format(
        name="halueval",
        sentence="HaluEval: right and hallucinated texts, or answers with quotes of what is hallucinated",
        holds=("marks", "preferences"),
        read=hallucinations.read_halueval,
    ),
    Format(
        name="haluquestqa",
        sentence="HaluQuestQA's table of two answers with quotes of their errors",
        holds=("marks", "preferences"),
        read=hallucinations.read_haluquestqa,
    ),
    Format(
        name="mqm",
        sentence="TSV of WMT's MQM ratings, errors between <v> and </v>",
        holds=("marks",),
        read=mqm.read,
    ),
    Format(
        name="m2",
        sentence="M2 of ERRANT and CoNLL-2014: sentences and their grammatical corrections",
        holds=("marks", "edits"),
        read=m2.read,
        read_pairs=m2.read_pairs,
    ),
    Format(
        name="mt-bench",
        sentence="judgements of MT-Bench, by people and by models",
        holds=("preferences", "ratings"),
        read=mt_bench.read,
    ),
)
