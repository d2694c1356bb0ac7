"""What pages say, in the language of the one who reads: a catalogue per language, keyed by the English sentence.

A catalogue is `static/messages/LANGUAGE.json`, which scripts read as well; another language is another such file and a
row in `LANGUAGES`. What the server says of errors stays English.
"""

import functools
import json
from pathlib import Path

from starlette.requests import Request

CATALOGUES = Path(__file__).parents[1] / "static" / "messages"
LANGUAGES = {"en": "English", "de": "Deutsch", "zh": "中文"}
"""Languages by code, each by its own name; English needs no catalogue."""
RIGHT_TO_LEFT = frozenset({"ar", "fa", "he", "ur"})
COOKIE = "spanwise-language"


@functools.cache
def catalogue(language: str) -> dict[str, str]:
    """The messages of a language by their English text."""
    if language == "en":
        return {}
    return json.loads((CATALOGUES / f"{language}.json").read_text(encoding="utf-8"))


def translate(language: str, message: str, /, **values: object) -> str:
    """The message in that language, in English where its catalogue lacks it; {name} stands for a value."""
    return (
        catalogue(language).get(message, message).format(**values)
        if values
        else catalogue(language).get(message, message)
    )


def language_of(request: Request) -> str:
    """The language that somebody chose, else the first of the browser's that there is, else English."""
    chosen = request.cookies.get(COOKIE, "")
    if chosen in LANGUAGES:
        return chosen
    wanted: list[tuple[float, str]] = []
    for part in request.headers.get("accept-language", "")[:500].split(","):
        name, _, quality = part.strip().partition(";q=")
        wanted.append((_number(quality), name.split("-")[0].lower()))
    ranked = sorted(wanted, key=lambda entry: -entry[0])
    return next((name for quality, name in ranked if quality > 0 and name in LANGUAGES), "en")


def direction_of(language: str) -> str:
    """How a language is written: "rtl" from the right, else "ltr"."""
    return "rtl" if language in RIGHT_TO_LEFT else "ltr"


def _number(text: str) -> float:
    try:
        return float(text) if text else 1.0
    except ValueError:
        return 0.0
