"""The rows of a table, one after the other: CSV, TSV, Excel, Parquet, data sets of `datasets`, frames, lists of rows.

No more than a few thousand rows of a file are in memory at once. A row that is damaged is told by its number, as
spreadsheets count rows, and keeps no other out.
"""

import csv
import io
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from spanwise.core import DataError, open_bytes
from spanwise.feedback.formats.tables.cells import is_blank, plain
from spanwise.text import unstorable

_AT_ONCE = 256
_LARGEST_CELL = 10_000_000
_TEXTS = (".csv", ".tsv")
_HEAD_OF_PARQUET = b"PAR1"


@dataclass(frozen=True, slots=True)
class Row:
    """One row: its number (of a file, its names are row 1), the line it begins on, its cells by column."""

    number: int
    line: int
    cells: dict[str, Any]
    damage: str = ""
    """Why it cannot be read as a row of its table; then its cells are those that were found."""
    damaged: str = ""
    """The column that is meant, where it is a single one."""


@dataclass(frozen=True, slots=True)
class Table:
    """The names of the columns, and the rows to go through once."""

    name: str
    columns: tuple[str, ...]
    rows: Iterable[Row] = field(repr=False)


def is_table(path: Path) -> bool:
    """Whether a path is that of a table, by its ending, or of Parquet and Excel by what the file is."""
    if ending(path) in (*_TEXTS, ".xlsx", ".xlsm", ".parquet"):
        return True
    return _begins_as_parquet(path) or _is_workbook(path)


def open_table(source: Any, sheet: str = "") -> Table:
    """The table in a file, or of an object that holds rows.

    Raises DataError for a file that cannot be read, for names of columns that stand twice, and for an object without
    rows.
    """
    table = _of_file(Path(source), sheet) if isinstance(source, str | Path) else _of_object(source)
    twice = {name for name in table.columns if table.columns.count(name) > 1}
    if twice:
        raise DataError(f"{table.name}: two columns are called {sorted(twice)[0]!r:.60}; rename one.")
    if not table.columns:
        raise DataError(f"{table.name}: holds no rows; its first row names the columns.")
    return table


def ending(path: Path) -> str:
    """The ending that says what a file holds: that before .gz."""
    return path.with_suffix("").suffix.lower() if path.suffix == ".gz" else path.suffix.lower()


def _of_file(path: Path, sheet: str) -> Table:
    if is_parquet(path):
        return _parquet(path)
    if _is_workbook(path) or ending(path) in (".xlsx", ".xlsm"):
        return _workbook(path, sheet)
    return _text(path)


def is_parquet(path: Path) -> bool:
    """Whether a file is Parquet, by its ending or by what it is."""
    return ending(path) == ".parquet" or _begins_as_parquet(path)


def _begins_as_parquet(path: Path) -> bool:
    try:
        with path.open("rb") as stream:
            return stream.read(4) == _HEAD_OF_PARQUET
    except OSError:
        return False


def _is_workbook(path: Path) -> bool:
    try:
        with path.open("rb") as stream:
            if stream.read(2) != b"PK":
                return False
        with zipfile.ZipFile(path) as archive:
            return any(name.startswith("xl/") for name in archive.namelist())
    except (OSError, zipfile.BadZipFile):
        return False


def _text(path: Path) -> Table:
    csv.field_size_limit(max(csv.field_size_limit(), _LARGEST_CELL))
    lines = _Lines(path)
    if "\0" in lines.head:
        raise DataError(f"{path}: its first row holds NUL, as text in UTF-16 does; save the table as UTF-8.")
    delimiter = "\t" if ending(path) == ".tsv" else _delimiter(lines.head, path)
    reader = csv.reader(lines, delimiter=delimiter, strict=True)
    names = _named(_next_of(reader, path) or [])
    return Table(str(path), names, _csv_rows(reader, names, lines))


class _Lines:
    """The lines of a text; bytes that are no UTF-8 come out as lone surrogates, and `damaged` says that there are."""

    def __init__(self, path: Path) -> None:
        self.damaged = False
        self._lines = self._read(path)
        self.head = next(self._lines, "")

    def __iter__(self) -> Iterator[str]:
        yield from [self.head] if self.head else []
        yield from self._lines

    def _read(self, path: Path) -> Iterator[str]:
        with open_bytes(path) as stream:
            for number, line in enumerate(stream):
                content = line if number else line.removeprefix(b"\xef\xbb\xbf")
                try:
                    text = content.decode()
                except UnicodeDecodeError:
                    self.damaged, text = True, content.decode(errors="surrogateescape")
                yield text


def _delimiter(head: str, path: Path) -> str:
    """The one that parts the first row into most names; a comma where they tie."""
    try:
        return max(",;\t", key=lambda mark: len(next(csv.reader([head], delimiter=mark), [])))
    except csv.Error as error:
        raise DataError(f"{path}:1: cannot be read as a table ({_why(error)}).") from error


def _next_of(reader: Iterator[list[str]], path: Path) -> list[str] | None:
    try:
        return next((cells for cells in reader if not _blank(cells)), None)
    except csv.Error as error:
        raise DataError(f"{path}:1: cannot be read as a table ({_why(error)}).") from error


def _why(error: csv.Error) -> str:
    """What is wrong with a row, and the remedy."""
    if "new-line" in str(error):
        return "a carriage return alone, as old Macs ended lines; save the table with LF line ends"
    return f"{error}; close its quotes"


def _csv_rows(reader: Any, names: Sequence[str], lines: _Lines) -> Iterator[Row]:
    number = 1
    while True:
        line = reader.line_num + 1
        number += 1
        try:
            cells = next(reader, None)
        except csv.Error as error:
            yield Row(number, line, {}, f"cannot be read ({_why(error)}). Nothing behind it was read.")
            return
        if cells is None:
            return
        if not _blank(cells):
            yield _csv_row(number, line, cells, names, damaged=lines.damaged)
        lines.damaged = False


def _csv_row(number: int, line: int, cells: list[str], names: Sequence[str], *, damaged: bool) -> Row:
    found: dict[str, Any] = dict(zip(names, cells, strict=False))
    if damaged and (column := next((name for name, cell in found.items() if unstorable(cell)), "")):
        shown = {name: cell.encode(errors="surrogateescape").decode(errors="replace") for name, cell in found.items()}
        return Row(number, line, shown, "is not UTF-8; save the table as UTF-8.", column)
    if len(cells) != len(names):
        many = f"has {len(cells)} cells, the first row {len(names)}"
        return Row(number, line, found, f"{many}; put quotes around cells that hold the separator.")
    return Row(number, line, found)


def _named(names: Iterable[Any]) -> tuple[str, ...]:
    """Names of columns; one without a name, as pandas writes its index, is called by its place."""
    texts = ["" if name is None else str(name).strip() for name in names]
    return tuple(text or f"column {number}" for number, text in enumerate(texts, start=1))


def _parquet(path: Path) -> Table:
    try:
        import pyarrow as pa  # noqa: PLC0415 - an extra
        import pyarrow.parquet as pq  # noqa: PLC0415
    except ImportError as error:
        raise DataError(f"{path}: reading Parquet needs pyarrow; pip install 'spanwise[tables]'.") from error
    try:
        file = pq.ParquetFile(path, buffer_size=1 << 16, pre_buffer=False)
    except (OSError, pa.ArrowException) as error:
        raise DataError(f"{path}: cannot be read as Parquet ({error}); fetch it again.") from error
    names = tuple(str(name) for name in file.schema_arrow.names)

    def rows() -> Iterator[Row]:
        number = 0
        try:
            for batch in file.iter_batches(_AT_ONCE, use_threads=False):
                for cells in batch.to_pylist():
                    number += 1
                    yield Row(number, number, {str(name): plain(cell) for name, cell in cells.items()})
        except (OSError, pa.ArrowException) as error:
            yield Row(number + 1, number + 1, {}, f"the file breaks off here ({error}); fetch it again.")

    return Table(str(path), names, rows())


def _book(path: Path) -> Any:
    try:
        import openpyxl  # noqa: PLC0415 - an extra
    except ImportError as error:
        raise DataError(f"{path}: reading Excel needs openpyxl; pip install 'spanwise[tables]'.") from error
    try:  # from memory, so that no file stays open where rows are left unread; openpyxl holds all texts anyway
        return openpyxl.load_workbook(io.BytesIO(path.read_bytes()), read_only=True, data_only=True)
    except (OSError, ValueError, KeyError, AttributeError, zipfile.BadZipFile) as error:  # what openpyxl stumbles over
        raise DataError(f"{path}: cannot be read as an Excel workbook ({error}); save it again.") from error


def _workbook(path: Path, sheet: str) -> Table:
    book = _book(path)
    rows = enumerate(_sheet(book, sheet, path).iter_rows(values_only=True), start=1)
    names = _named(_without_end(next((cells for _, cells in rows if not _blank(cells)), ())))

    def later() -> Iterator[Row]:
        for number, cells in rows:
            if _blank(cells):
                continue
            found = dict(zip(names, map(_of_excel, cells), strict=False))
            beyond = len(_without_end(cells)) > len(names)
            damage = "has a cell behind the last named column; name that column." if beyond else ""
            yield Row(number, number, found, damage)

    return Table(str(path), names, later())


def filled_sheets(path: Path) -> list[str]:
    """The sheets of a workbook that hold something; none for any other file. Raises DataError like `open_table`."""
    return [str(page.title) for page in _filled(_book(path))] if _is_workbook(path) else []


def _filled(book: Any) -> list[Any]:
    return [page for page in book.worksheets if any(not _blank(cells) for cells in page.iter_rows(values_only=True))]


def _sheet(book: Any, sheet: str, path: Path) -> Any:
    names = [str(page.title) for page in book.worksheets]  # sheets that are mere charts have no rows
    if sheet and sheet not in names:
        raise DataError(f"{path}: has no sheet {sheet!r:.60}; there are: {', '.join(names):.300}.")
    if sheet:
        return book[sheet]
    filled = _filled(book)
    if len(filled) > 1:
        listed = ", ".join(str(page.title) for page in filled)
        raise DataError(f"{path}: several sheets hold something ({listed:.300}); name one with --sheet.")
    if not book.worksheets:
        raise DataError(f"{path}: has charts and no sheet with rows.")
    return filled[0] if filled else book.worksheets[0]


def _blank(cells: Sequence[Any]) -> bool:
    return all(is_blank(cell) for cell in cells)


def _without_end(cells: Sequence[Any]) -> list[Any]:
    kept = list(cells)
    while kept and is_blank(kept[-1]):
        kept.pop()
    return kept


def _of_excel(cell: Any) -> Any:
    """Excel writes a carriage return inside a cell as `_x000D_`."""
    return plain(cell.replace("_x000D_", "\r") if isinstance(cell, str) and "_x000D_" in cell else cell)


def _of_object(source: Any) -> Table:
    """A frame of pandas or Polars, a data set of `datasets`, an Arrow table, or a list of rows by name."""
    what = f"<{type(source).__name__}>"
    for reader in (_frame, _arrow, _mappings):
        if (opened := reader(source)) is not None:
            names, rows = opened
            return Table(what, _named(names), (Row(k, k, cells) for k, cells in enumerate(rows, start=1)))
    remedy = (
        "call its collect()" if hasattr(source, "collect") else "give a path, a frame, a data set or a list of rows"
    )
    raise DataError(f"{what} holds no rows; {remedy}.")


Opened = tuple[Sequence[Any], Iterator[dict[str, Any]]]


def _frame(source: Any) -> Opened | None:
    walk: Callable[[], Iterable[Any]] | None = getattr(source, "iter_rows", None)
    if walk is None and hasattr(source, "itertuples"):
        walk = lambda: source.itertuples(index=False, name=None)  # noqa: E731 - as Polars has it by itself
    if walk is None or not hasattr(source, "columns"):
        return None
    names = _named(source.columns)
    return names, (dict(zip(names, map(plain, cells), strict=True)) for cells in walk())


def _arrow(source: Any) -> Opened | None:
    if not (hasattr(source, "to_batches") and hasattr(source, "schema")):
        return None
    batches = source.to_batches(max_chunksize=_AT_ONCE)
    return source.schema.names, (plain(cells) for batch in batches for cells in batch.to_pylist())


def _mappings(source: Any) -> Opened | None:
    names: Any = getattr(source, "column_names", None)  # of a data set; unknown for some that are streamed
    if isinstance(names, Mapping):
        splits = ", ".join(map(str, cast("Mapping[Any, Any]", names)))
        raise DataError(f"<{type(source).__name__}> holds several sets ({splits:.200}); give one of them, by its name.")
    if hasattr(source, "with_format"):  # a data set that is told to give arrays or frames
        source = source.with_format(None)
    if names is None:
        if isinstance(source, str | bytes | Mapping) or not isinstance(source, Sequence | Iterable):
            return None
        rows = (
            list(cast("Iterable[Any]", source)) if not isinstance(source, Sequence) else cast("Sequence[Any]", source)
        )
        if not all(isinstance(row, Mapping) for row in rows):
            return None
        names, source = list(dict.fromkeys(name for row in rows for name in row)), rows
    return names, (plain(dict(row)) for row in source)
