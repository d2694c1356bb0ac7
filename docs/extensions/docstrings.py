"""Docstrings of Spanwise as reStructuredText: single backticks are code, indented blocks programs, the rest text.

What reStructuredText would read as markup (`*args`, `a|b`, `ids_`) is escaped, so that a docstring reads as it stands.
"""

import re

CODE = re.compile(r"``.+?``|`[^`\n]+(?:\n[^`\n]*)?`")
ITEM = re.compile(r"\s*(?:[-*]|\d+\.) ")


def as_rst(lines: list[str]) -> list[str]:
    """The lines of a docstring, its common indentation gone, as lines of reStructuredText."""
    written: list[str] = []
    for block in re.split(r"\n\s*\n", "\n".join(lines).strip("\n")):
        written += [*_block(block.splitlines()), ""]
    return written


def _block(lines: list[str]) -> list[str]:
    if not lines or not all(line.startswith("    ") for line in lines):
        return _paragraph(lines)
    return ["::", "", *lines]


def _paragraph(lines: list[str]) -> list[str]:
    """Items of a list part from what stands before them; a wrapped line is as far in as its item's words."""
    texts: list[list[str]] = [[]]
    for line in lines:
        if ITEM.match(line):
            texts.append([])
        texts[-1].append(line.strip())
    written: list[str] = []
    for text in filter(None, texts):
        words = inline("\n".join(text)).splitlines()
        is_item = bool(ITEM.match(f"{words[0]} ")) and text is not texts[0]
        written += [words[0], *(f"  {line}" if is_item else line for line in words[1:]), ""]
    return written[:-1]


def inline(text: str) -> str:
    """Text with its code spans doubled and all other markup escaped."""
    parts, end = [], 0
    for code in CODE.finditer(text):
        parts += [_escaped(text[end : code.start()]), f"``{code[0].strip('`').strip()}``"]
        after = text[code.end() : code.end() + 1]
        parts += ["\\ "] if after.isalnum() else []
        end = code.end()
    return "".join([*parts, _escaped(text[end:])])


def _escaped(text: str) -> str:
    return re.sub(r"_(?!\w)", r"\\_", re.sub(r"([\\*|`])", r"\\\1", text))
