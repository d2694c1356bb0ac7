"""The strings and templates of a script, so that tests can ask what it shows to people."""

import re
from dataclasses import dataclass, field

_COMMENT = re.compile(r"//[^\n]*|/\*.*?\*/", re.DOTALL)
_STRING = re.compile(r"\"(?:[^\"\\\n]|\\.)*\"|'(?:[^'\\\n]|\\.)*'")
_PATTERN = re.compile(r"/(?:[^/\\\[\n]|\\.|\[(?:[^\]\\]|\\.)*\])+/")
_BEFORE_PATTERNS = "(,=:[!&|?{};"


@dataclass
class Literal:
    """A string, or a template with its pieces between the `${}`; html templates are a kind of their own."""

    kind: str
    begin: int
    pieces: list[str] = field(default_factory=list)
    piece_from: int = 0
    depth: int = 0


def scanned(source: str) -> list[Literal]:
    """The literals of a script in the order in which they end; comments and regular expressions are passed over."""
    scanner = _Scanner(source)
    while scanner.at < len(source):
        scanner.in_template() if scanner.inside else scanner.in_code()
    return scanner.found


class _Scanner:
    def __init__(self, source: str) -> None:
        self.source, self.at, self.depth, self.last = source, 0, 0, ""
        self.found: list[Literal] = []
        self.open: list[Literal] = []
        self.inside = False

    def in_template(self) -> None:
        sign, template = self.source[self.at], self.open[-1]
        if sign == "`" or self.source.startswith("${", self.at):
            template.pieces.append(self.source[template.piece_from : self.at])
            template.depth, self.inside, self.last = self.depth, False, "("
            if sign == "`":
                self.found.append(self.open.pop())
                self.last = "x"
            self.at += 1 if sign == "`" else 2
        else:
            self.at += 2 if sign == "\\" else 1

    def in_code(self) -> None:
        source, sign = self.source, self.source[self.at]
        if comment := _COMMENT.match(source, self.at):
            self.at = comment.end()
        elif string := _STRING.match(source, self.at):
            self.found.append(Literal("string", self.at, [string[0][1:-1]]))
            self.last, self.at = "x", string.end()
        elif sign == "`":
            kind = "html" if source.endswith("html", 0, self.at) else "template"
            self.open.append(Literal(kind, self.at, piece_from=self.at + 1))
            self.inside, self.at = True, self.at + 1
        elif self.last in _BEFORE_PATTERNS and (pattern := _PATTERN.match(source, self.at)):
            self.last, self.at = "x", pattern.end()
        else:
            self._sign(sign)

    def _sign(self, sign: str) -> None:
        self.at += 1
        if sign == "}" and self.open and self.depth == self.open[-1].depth:
            self.open[-1].piece_from, self.inside = self.at, True
            return
        self.depth += (sign == "{") - (sign == "}")
        self.last = self.last if sign.isspace() else sign
