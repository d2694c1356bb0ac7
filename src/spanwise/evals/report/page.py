"""Pages of one look: a template that extends `templates/page.html`, its style and its script, in one HTML file.

A page fetches nothing: its content security policy forbids it and allows the one script by its hash. Every text from a
run is escaped, and characters that hide or turn text are shown by their code points.
"""

import base64
import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import yaml
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from spanwise.evals.report.heatmap import Tint
from spanwise.evals.statistics import duration, plain

_TEMPLATES = Path(__file__).parent / "templates"
_HIDDEN = re.compile(
    "[\x00-\x08\x0b\x0c\r\x0e-\x1f\x7f-\x9f\u00ad\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
    "\ud800-\udfff\U000e0000-\U000e007f]"
)


def render_page(template: str, **values: object) -> str:
    """The page that `template` makes of `values`, in one piece."""
    style, script = ((_TEMPLATES / name).read_text(encoding="utf-8") for name in ("page.css", "page.js"))
    digest = base64.b64encode(hashlib.sha256(script.encode("utf-8")).digest()).decode("ascii")
    page = _environment().get_template(template)
    return _visible(page.render(values, style=Markup(style), script=Markup(script), script_hash=digest))


def _visible(page: str) -> str:
    """The page with the characters that hide or turn text shown by their code points."""
    return _HIDDEN.sub(lambda hidden: f"\u27e8U+{ord(hidden[0]):04X}\u27e9", page)


def _environment() -> Environment:
    """The templates beside this file with the filters that they use; every text from a run is escaped."""
    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["duration"] = duration
    environment.filters["svg"] = Markup  # our own plots only; what they show was escaped when they were drawn
    environment.filters["plain"] = plain
    environment.filters["sentence"] = _capitalized
    environment.filters["yaml"] = _yaml_text
    environment.filters["tint_json"] = _tint_json
    return environment


def _capitalized(text: str) -> str:
    return text[:1].upper() + text[1:]


def _yaml_text(value: object) -> str:
    return yaml.safe_dump(value, sort_keys=False, allow_unicode=True)


def _tint_json(tints: Mapping[str, Sequence[Tint]]) -> str:
    """Strengths, signs and gaps by source, as page.js reads them."""
    rounded = {
        source: [[tint.strength and round(tint.strength, 3), tint.sign, round(tint.gap, 3)] for tint in of_tokens]
        for source, of_tokens in tints.items()
    }
    return json.dumps(rounded, separators=(",", ":"))
