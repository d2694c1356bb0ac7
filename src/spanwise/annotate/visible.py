"""Characters that act without being seen, drawn as signs, so that no text on a page shows another order than it has."""

import re

_SIGNS = {
    "\u202a": "⇢", "\u202b": "⇠", "\u202c": "⇥", "\u202d": "⇢", "\u202e": "⇠", "\u2066": "⇢", "\u2067": "⇠",
    "\u2068": "⇢", "\u2069": "⇥", "\u200b": "¦", "\ufeff": "¦", "\u2028": "↵", "\u2029": "↵", "\u0085": "↵",
    "\u00ad": "¬",
}  # fmt: skip
_HIDDEN = re.compile("[\x01-\x08\x0b-\x1f\x7f-\x9f\xad\u200b\u2028-\u202e\u2066-\u2069\ufeff]")


def visible(text: object) -> str:
    """The text with one sign for each such character."""
    return _HIDDEN.sub(lambda found: _sign(found[0]), str(text))


def _sign(character: str) -> str:
    control = chr(0x2400 + ord(character)) if ord(character) < 0x20 else "␡"
    return _SIGNS.get(character, control)
