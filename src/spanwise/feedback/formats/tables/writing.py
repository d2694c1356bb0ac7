"""Rows written as Parquet, TSV or else CSV, by the ending of the path; beside-then-rename.

Cells are texts, numbers or nothing: what has a structure stands in them as JSON.
"""

import csv
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any

from spanwise.core import DataError, atomic_path, atomic_writer
from spanwise.feedback.formats.tables.rows import ending

_AT_ONCE = 1_000
Cells = Mapping[str, str | int | None]


def write_rows(path: Path, columns: Sequence[str], rows: Iterable[Cells]) -> int:
    """Writes the rows and returns how many; raises DataError for the ending of a workbook, which is not written."""
    kind = ending(path)
    if kind == ".parquet":
        return _parquet(path, columns, rows)
    if kind in (".xlsx", ".xlsm", ".xls", ".ods"):
        raise DataError(f"{path}: tables are written as .csv, .tsv or .parquet; name the file so.")
    with atomic_writer(path) as stream:
        return _text(stream, columns, rows, "\t" if kind == ".tsv" else ",")


def _text(stream: IO[str], columns: Sequence[str], rows: Iterable[Cells], delimiter: str) -> int:
    writer = csv.DictWriter(stream, columns, delimiter=delimiter, lineterminator="\n")
    writer.writeheader()
    number = 0
    for number, cells in enumerate(rows, start=1):  # noqa: B007 - how many there were
        writer.writerow(cells)
    return number


def _parquet(path: Path, columns: Sequence[str], rows: Iterable[Cells]) -> int:
    try:
        import pyarrow as pa  # noqa: PLC0415 - an extra
        import pyarrow.parquet as pq  # noqa: PLC0415
    except ImportError as error:
        raise DataError(f"{path}: writing Parquet needs pyarrow; pip install 'spanwise[tables]'.") from error
    schema = pa.schema([(name, pa.int64() if name == "response_number" else pa.string()) for name in columns])
    number = 0
    with atomic_path(path) as beside, pq.ParquetWriter(beside, schema) as writer:
        for piece in _pieces(rows):
            number += len(piece)
            writer.write_table(pa.Table.from_pylist(piece, schema))
    return number


def _pieces(rows: Iterable[Cells]) -> Iterator[list[dict[str, Any]]]:
    piece: list[dict[str, Any]] = []
    for cells in rows:
        piece.append(dict(cells))
        if len(piece) == _AT_ONCE:
            yield piece
            piece = []
    if piece:
        yield piece
