"""The rows of annotation tools in the table of formats."""

from spanwise.feedback.formats.contract import Format
from spanwise.feedback.formats.tools import (
    argilla,
    brat,
    doccano,
    inline,
    label_studio,
    label_studio_min,
    potato,
    prodigy,
    thresh,
    uima,
    webanno,
)

TOOLS = (
    Format(
        name="argilla",
        sentence="records as Argilla 2 writes them (`Dataset.records.to_json`)",
        holds=("marks", "edits"),
        read=argilla.read,
        write=argilla.write,
    ),
    Format(
        name="label-studio",
        sentence="tasks of Label Studio's JSON; a labeling config is written beside them",
        holds=("marks", "edits"),
        read=label_studio.read,
        write=label_studio.write,
    ),
    Format(
        name="doccano",
        sentence="doccano's JSON lines of a text with labels, or with a rewritten text",
        holds=("marks", "edits"),
        read=doccano.read,
        write=doccano.write,
    ),
    Format(
        name="thresh",
        sentence="Thresh's list of source, target and edits; its interface is written beside them",
        holds=("marks", "edits"),
        read=thresh.read,
        read_pairs=thresh.read_pairs,
        write=thresh.write,
    ),
    Format(
        name="label-studio-min",
        sentence="Label Studio's JSON-MIN, one object an annotation",
        holds=("marks", "edits"),
        read=label_studio_min.read,
    ),
    Format(
        name="prodigy",
        sentence="Prodigy's tasks with spans and answer, as `db-out` writes and recipes read them",
        holds=("marks",),
        read=prodigy.read,
        write=prodigy.write,
        cannot_keep="nothing; Prodigy shows the first response",
    ),
    Format(
        name="brat",
        sentence="brat's folder of .txt and .ann, or one of the two beside the other",
        holds=("marks",),
        read=brat.read,
    ),
    Format(
        name="webanno",
        sentence="WebAnno TSV 3, which WebAnno and INCEpTION export: a document, or a folder of them",
        holds=("marks",),
        read=webanno.read,
    ),
    Format(
        name="uima-cas",
        sentence="UIMA CAS JSON, which INCEpTION and dkpro-cassis write: a document, or a folder of them",
        holds=("marks",),
        read=uima.read,
    ),
    Format(
        name="potato",
        sentence="Potato's project, its config or the folder of it, with data files and annotation_output",
        holds=("marks",),
        read=potato.read,
    ),
    Format(
        name="inline",
        sentence="corrections inside a text, a text a line: CriticMarkup, or wdiff's [-a-]{+b+}",
        holds=("marks", "edits"),
        read=inline.read,
    ),
)
