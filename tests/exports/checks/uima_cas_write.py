"""Writes a document with dkpro-cassis and prints the words that it sees under each annotation: FILE."""

import json
import sys
from pathlib import Path

from cassis import Cas, TypeSystem

TEXT = "\U0001f600 The dam of Lund."


def at(words: str) -> dict[str, int]:
    start = TEXT.index(words)
    return {"begin": start, "end": start + len(words)}


types = TypeSystem()
error = types.create_type("webanno.custom.Error", "uima.tcas.Annotation")
for name in ("category", "comment"):
    types.create_feature(error, name, "uima.cas.String")
link = types.create_type("webanno.custom.Link", "uima.tcas.Annotation")
for name in ("Governor", "Dependent"):
    types.create_feature(link, name, "uima.tcas.Annotation")
token = types.create_type("de.tudarmstadt.ukp.dkpro.core.api.segmentation.type.Token", "uima.tcas.Annotation")
pos = types.create_type("de.tudarmstadt.ukp.dkpro.core.api.lexmorph.type.pos.POS", "uima.tcas.Annotation")
types.create_feature(pos, "PosValue", "uima.cas.String")

cas = Cas(types)
cas.sofa_string, cas.sofa_mime = TEXT, "text/plain"
dam = error(**at("dam"), category="Wrong", comment="It was not.")
smile = error(**at("\U0001f600"))
cas.add_all([dam, smile, error(begin=5, end=5), token(**at("The")), pos(**at("The"), PosValue="DT")])
cas.add(link(**at("dam"), Governor=dam, Dependent=smile))
Path(sys.argv[1]).write_text(cas.to_json(pretty_print=False, ensure_ascii=True) + "\n")
seen = [one.get_covered_text() for one in cas.select("webanno.custom.Error") if one.begin < one.end]
sys.stdout.write(f"{json.dumps(sorted(seen))}\n")
