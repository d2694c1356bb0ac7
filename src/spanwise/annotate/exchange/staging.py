"""What an import will store, prepared and kept in a file of its own until all of it is there.

So the database is written to once, at the end and in one go: an import happens whole or not at all, and nobody waits
while a file is read. Rows are plain tuples in the order of a table's columns, as the database takes them.
"""

import functools
import json
import pickle
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any

from sqlalchemy import Connection, Table

from spanwise.annotate.store import StorageError, tables
from spanwise.feedback import Place

Rows = list[tuple[str, list[tuple[Any, ...]]]]
"""Tuples by the name of their table, in the order in which they can be inserted."""


@dataclass(frozen=True, slots=True)
class Said:
    """The feedback of a record: an annotation that waits for its item, and the parts of its body."""

    record_id: str
    annotation: dict[str, Any]
    parts: Rows


@dataclass(frozen=True, slots=True)
class Staged:
    """One record on its way in."""

    file: str
    line: int
    position_in_list: int | None
    ext_id: str
    fingerprint: tuple[str, ...]
    """What must be equal for two records to mean the same item."""
    item_id: str
    """The id of the item, should it be new."""
    item: Rows
    said: Said | None

    @property
    def place(self) -> Place:
        """Where the record stands."""
        return Place(self.file, self.line, b"", self.position_in_list)


class Stage:
    """Pieces of staged records in a temporary file."""

    def __init__(self) -> None:
        self._file = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the stage

    def __enter__(self) -> "Stage":
        return self

    def __exit__(self, _: type[BaseException] | None, __: BaseException | None, ___: TracebackType | None) -> None:
        self._file.close()

    def add(self, piece: list[Staged]) -> None:
        """Keeps a piece; raises StorageError when there is no room for it."""
        try:
            pickle.dump(piece, self._file, protocol=pickle.HIGHEST_PROTOCOL)
        except OSError as error:
            raise StorageError(f"There is no room to prepare the import ({error.strerror}); make some.") from error

    def pieces(self) -> Iterator[list[Staged]]:
        """All pieces, in the order in which they were added."""
        self._file.seek(0)
        while True:
            try:
                yield pickle.load(self._file)
            except EOFError:
                return


@dataclass
class Load:
    """Rows that are about to be inserted."""

    rows: dict[str, list[tuple[Any, ...]]] = field(default_factory=dict[str, list[tuple[Any, ...]]])

    def add(self, rows: Iterable[tuple[str, list[tuple[Any, ...]]]]) -> None:
        """Adds rows of some tables."""
        for name, some in rows:
            self.rows.setdefault(name, []).extend(some)

    def insert(self, connection: Connection) -> None:
        """Inserts all, tables that others refer to first."""
        mark = "?" if connection.dialect.name == "sqlite" else "%s"
        for table in tables.metadata.sorted_tables:
            if some := self.rows.get(table.name):
                names = ", ".join(f'"{column.name}"' for column in table.columns)
                values = ", ".join([mark] * len(table.columns))
                connection.exec_driver_sql(f'INSERT INTO "{table.name}" ({names}) VALUES ({values})', some)


def tuples(table: Table, rows: Iterable[dict[str, Any]]) -> tuple[str, list[tuple[Any, ...]]]:
    """Rows as the database takes them."""
    names, json_columns = _columns(table)
    plain: list[tuple[Any, ...]] = []
    for row in rows:
        values = [row.get(name) for name in names]
        for index in json_columns:
            if values[index] is not None:
                values[index] = _plain(values[index])
        plain.append(tuple(values))
    return table.name, plain


@functools.cache
def _columns(table: Table) -> tuple[list[str], list[int]]:
    """The names of the columns, and which of them hold JSON."""
    columns = list(table.columns)
    return [c.name for c in columns], [n for n, c in enumerate(columns) if isinstance(c.type, tables.Json)]


def _plain(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"))
