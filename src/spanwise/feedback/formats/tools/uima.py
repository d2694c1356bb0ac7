"""UIMA CAS JSON, which INCEpTION and dkpro-cassis write: a text and the annotations on it, with their types.

Every text of a file is a response. Relations (annotations between two others), chains and links of slots are counted;
what is no annotation of a text (lists, links, settings) is the file's own.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

from spanwise.core import parse
from spanwise.feedback.formats.contract import Outcome, Reading
from spanwise.feedback.formats.tools.layers import Document, Layered, Layout, documents
from spanwise.feedback.problems import FieldError
from spanwise.feedback.schema import FeedbackRecord

_STRUCTURES, _SOFA = "%FEATURE_STRUCTURES", "uima.cas.Sofa"
_ENDS = {"@Governor", "@Dependent"}
_OWN = {"begin", "end"}
Structure = dict[str, Any]


def read(path: Path, reading: Reading) -> Iterator[Outcome[FeedbackRecord]]:
    """One record per document, of a file or of a folder of them."""
    return documents(Layout("uima-cas", ".json", _parsed, _is_cas), path, reading)


def _is_cas(text: str) -> bool:
    return f'"{_STRUCTURES}"' in text


def _parsed(text: str, lost: Reading) -> Document:
    whole = parse(text)
    listed = cast("Structure", whole).get(_STRUCTURES) if isinstance(whole, dict) else None
    structures = list(_structures(listed))
    sofas = {one["%ID"]: one for one in structures if one.get("%TYPE") == _SOFA and one.get("sofaString") is not None}
    if not sofas or not all(isinstance(sofa["sofaString"], str) for sofa in sofas.values()):
        raise FieldError(_STRUCTURES, "hold no text (a uima.cas.Sofa with a sofaString); export the document again.")
    layered: dict[Any, list[Layered]] = {name: [] for name in sofas}
    for one in structures:
        if {"%TYPE", "@sofa", *_OWN} <= set(one) and (annotation := _annotation(one, lost)) is not None:
            if one["@sofa"] not in layered:
                raise FieldError(_STRUCTURES, f"has an annotation of a text that is not there ({one['@sofa']!r:.40}).")
            layered[one["@sofa"]].append(annotation)
    unit = "utf-16" if lost.unit == "auto" else lost.unit
    return Document([sofa["sofaString"] for sofa in sofas.values()], list(layered.values()), unit)


def _structures(listed: Any) -> Iterator[Structure]:
    """The feature structures, a list or, as older files have them, an object by their ids."""
    if isinstance(listed, dict):
        listed = [{**one, "%ID": int(name)} for name, one in cast("Structure", listed).items() if isinstance(one, dict)]
    if not isinstance(listed, list):
        raise FieldError(_STRUCTURES, "is missing or no list; export the document as UIMA CAS JSON 0.4.0.")
    for one in cast("list[Any]", listed):
        if not isinstance(one, dict) or not isinstance(cast("Structure", one).get("%ID"), int):
            raise FieldError(_STRUCTURES, "holds something other than structures with an %ID.")
        yield cast("Structure", one)


def _annotation(one: Structure, lost: Reading) -> Layered | None:
    """The annotation of a text; None for one between others, which is counted."""
    layer, begin, end = one["%TYPE"], one["begin"], one["end"]
    if not isinstance(layer, str) or type(begin) is not int or type(end) is not int:
        raise FieldError(_STRUCTURES, "has an annotation whose %TYPE is no name, or begin or end no number.")
    references = {name for name in one if name.startswith("@")} - {"@sofa"}
    if references >= _ENDS:
        lost.lost("relations")
        return None
    if layer.endswith(("CoreferenceLink", "ChainLink")) or "@next" in references:
        lost.lost("chains")
        return None
    lost.lost("links of annotations", len(references) if not layer.startswith("de.tudarmstadt.ukp.dkpro.core") else 0)
    features = {
        name: str(value)
        for name, value in one.items()
        if name[:1] not in "%@" and name not in _OWN and isinstance(value, str | int | float)
    }
    return Layered(layer, begin, end, features)
