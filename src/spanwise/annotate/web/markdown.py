"""The part of Markdown that guidelines need - headings, paragraphs, lists, strong, emphasis, code - as plain data.

There is no raw HTML and there are no links: what the pages draw from it is text. Knows nothing of pages.
"""

import re
from typing import Any

_HEADING = re.compile(r"(#{1,4})\s+(.*)")
_BULLET = re.compile(r"[-*]\s+(.*)")
_NUMBER = re.compile(r"\d+[.)]\s+(.*)")
_INLINE = re.compile(r"\*\*(?P<strong>[^*]+)\*\*|\*(?P<em>[^*\s][^*]*)\*|`(?P<code>[^`]+)`")

Block = dict[str, Any]


def blocks_of(text: str) -> list[Block]:
    """The blocks of a text: `{"kind": "heading" | "paragraph" | "list", ...}` with parts `{"style", "text"}`."""
    blocks: list[Block] = []
    for line in text.splitlines():
        _take(blocks, line)
    return [_finished(block) for block in blocks if block["kind"] != "gap"]


def _take(blocks: list[Block], line: str) -> None:
    """Adds one line to the last block or begins a new one."""
    bare = line.strip()
    last: Block = blocks[-1] if blocks else {"kind": "gap"}
    before: Block = next((block for block in reversed(blocks) if block["kind"] != "gap"), last)
    heading, bullet, number = (pattern.fullmatch(bare) for pattern in (_HEADING, _BULLET, _NUMBER))
    if not bare:
        blocks.append({"kind": "gap"})
    elif heading:
        blocks.append({"kind": "heading", "lines": [heading[2]]})
    elif bullet or number:
        entry = (bullet or number)[1]  # type: ignore[index] - one of both matched
        ordered = bullet is None
        if before["kind"] == "list" and before["ordered"] == ordered:
            before["rows"].append(entry)
        else:
            blocks.append({"kind": "list", "ordered": ordered, "rows": [entry]})
    elif before["kind"] == "list" and line[:1].isspace():
        before["rows"][-1] += " " + bare
    elif last["kind"] == "paragraph":
        last["lines"].append(bare)
    else:
        blocks.append({"kind": "paragraph", "lines": [bare]})


def _finished(block: Block) -> Block:
    if block["kind"] == "list":
        return {"kind": "list", "ordered": block["ordered"], "items": [_parts(row) for row in block["rows"]]}
    return {"kind": block["kind"], "parts": _parts(" ".join(block["lines"]))}


def _parts(text: str) -> list[dict[str, str]]:
    parts: list[dict[str, str]] = []
    position = 0
    for match in _INLINE.finditer(text):
        if match.start() > position:
            parts.append({"style": "plain", "text": text[position : match.start()]})
        parts.append({"style": str(match.lastgroup), "text": str(match[str(match.lastgroup)])})
        position = match.end()
    if position < len(text):
        parts.append({"style": "plain", "text": text[position:]})
    return parts
