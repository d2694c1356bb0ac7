"""Aligned pairs as one HTML page: original and edited text side by side, what went and what came marked in place.

The page needs nothing but itself, follows the reader's light or dark setting, and never tells by colour alone:
what went is struck out, what came is underlined, and a wedge stands where the other side has more. Knows nothing of
where pairs come from.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from html import escape

from spanwise.text.edits import TextEdit

_STYLE = """
:root { color-scheme: light dark; --paper: #fdfdfc; --ink: #1d2126; --muted: #5d6670; --mark: #8a5a00; --rule: #dcdfe3;
  --gone: #fbe0dc; --gone-ink: #8c1d10; --new: #d9f0dd; --new-ink: #0d5723; }
@media (prefers-color-scheme: dark) { :root { --paper: #16191d; --ink: #e6e8ea; --muted: #9aa4ae; --mark: #e3b341;
  --rule: #343a41;
  --gone: #4d211c; --gone-ink: #ffb9ad; --new: #17402a; --new-ink: #9fe3b4; } }
body { margin: 0 auto; max-width: 76rem; padding: 2rem 1.25rem 4rem; background: var(--paper); color: var(--ink);
  font: 16px/1.6 system-ui, sans-serif; }
h1 { font-size: 1.35rem; margin: 0 0 .25rem; } h2 { font-size: 1rem; margin: 2.25rem 0 .1rem; }
p { margin: .1rem 0 .6rem; color: var(--muted); }
.pair { display: grid; grid-template-columns: repeat(auto-fit, minmax(19rem, 1fr)); gap: .9rem; }
figure { margin: 0; border: 1px solid var(--rule); border-radius: .5rem; padding: .7rem .95rem .9rem; }
figcaption { color: var(--muted); font-size: .8rem; margin-bottom: .35rem; }
.text { white-space: pre-wrap; overflow-wrap: anywhere; }
del { background: var(--gone); color: var(--gone-ink); border-radius: .2rem; padding: .05rem .1rem; }
ins { background: var(--new); color: var(--new-ink); border-radius: .2rem; padding: .05rem .1rem;
  text-underline-offset: .18em; }
.gap { color: var(--mark); font-size: .8em; vertical-align: -.35em; user-select: none; }
"""


@dataclass(frozen=True, slots=True)
class ShownEdit:
    """One aligned pair with what stands above it."""

    edit: TextEdit
    title: str = ""
    note: str = ""


def edit_page(title: str, shown: Iterable[ShownEdit]) -> str:
    """The page with all pairs, in order."""
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8">\n'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title><style>{_STYLE}</style></head>\n<body><main><h1>{escape(title)}</h1>\n"
        f"<p>Struck out: not in the edited text. Underlined: not in the original. "
        f'<span class="gap">▴</span>: the other side has more here.</p>\n'
        + "\n".join(map(_pair, shown))
        + "\n</main></body></html>\n"
    )


def _pair(shown: ShownEdit) -> str:
    heading = f"<h2>{escape(shown.title)}</h2>" if shown.title else ""
    note = f"<p>{escape(shown.note)}</p>" if shown.note else ""
    sides = "".join(
        f'<figure><figcaption>{caption}</figcaption><div class="text">{text}</div></figure>'
        for caption, text in (
            ("Original", _side(shown.edit, edited=False)),
            ("Edited", _side(shown.edit, edited=True)),
        )
    )
    return f'<section>{heading}{note}<div class="pair">{sides}</div></section>'


def _side(edit: TextEdit, *, edited: bool) -> str:
    tag = "ins" if edited else "del"
    pieces: list[str] = []
    for part in edit.parts:
        text = escape(part.edited.of(edit.edited) if edited else part.original.of(edit.original))
        if part.kept:
            pieces.append(text)
        elif text:
            pieces.append(f"<{tag}>{text}</{tag}>")
        else:
            pieces.append('<span class="gap" aria-label="the other side has more here">▴</span>')
    return "".join(pieces) or '<span class="gap">(empty)</span>'
