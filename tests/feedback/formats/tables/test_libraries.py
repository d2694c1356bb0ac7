"""Tables as other libraries make them; each test is skipped where its library is not installed."""

import datetime
import io

import pytest

from spanwise.core import DataError
from spanwise.feedback.formats import load_feedback, read_feedback, write_feedback

ANSWER = "Ada was born in Oslo. She had a cat. She had a dog."
ROWS = [
    {"question": "Who?", "answer": ANSWER, "quotes": "a cat|a dog", "error type": "Wrong", "checked": True, "n": 3,
     "share": 0.5, "day": datetime.date(2024, 1, 2)},
    {"question": "What?", "answer": ANSWER, "quotes": None, "error type": None, "checked": True, "n": None,
     "share": float("nan"), "day": None},
]  # fmt: skip
LISTS = [{"prompt": "?", "response": ANSWER, "quotes": ["a cat", "a dog"], "category": ["x", "y"]}]


def marks(record):
    return [(m.start, m.end, m.category) for m in record.responses[0].spans]


def assert_read(source, day="2024-01-02"):
    first, second = load_feedback(source)
    assert (first.prompt, marks(first)) == ("Who?", [(30, 35, "Wrong"), (45, 50, "Wrong")])
    assert first.provenance["columns"] == {"n": 3, "share": 0.5, "day": day}
    assert (second.prompt, second.responses[0].marked, second.responses[0].spans) == ("What?", True, ())
    assert "columns" not in second.provenance


def assert_lists(source):
    (record,) = load_feedback(source)
    assert marks(record) == [(30, 35, "x"), (45, 50, "y")]


def test_frames_of_pandas_with_every_kind_of_column(tmp_path):
    pd = pytest.importorskip("pandas", reason="pandas is not installed")
    frame = pd.DataFrame(ROWS)
    assert_read(frame)
    assert_read(frame.convert_dtypes())
    assert_read(frame.convert_dtypes(dtype_backend="pyarrow"))
    assert_read(frame.assign(**{"error type": frame["error type"].astype("category")}))
    assert_read(frame.set_index("n", drop=False))
    assert_lists(pd.DataFrame(LISTS))
    frame.to_parquet(tmp_path / "a.parquet")
    assert_read(tmp_path / "a.parquet")
    frame.drop(columns=["n", "share", "day"]).to_csv(tmp_path / "a.csv", index=False)
    assert [len(record.responses[0].spans) for record in load_feedback(tmp_path / "a.csv")] == [2, 0]
    pytest.importorskip("openpyxl", reason="openpyxl is not installed")
    frame.to_excel(tmp_path / "a.xlsx", index=False)
    assert_read(tmp_path / "a.xlsx", day="2024-01-02 00:00:00")


def test_frames_of_polars(tmp_path):
    pl = pytest.importorskip("polars", reason="Polars is not installed")
    assert_read(pl.DataFrame(ROWS))
    assert_lists(pl.DataFrame(LISTS))
    with pytest.raises(DataError, match=r"<LazyFrame> holds no rows; call its collect\(\)"):
        load_feedback(pl.DataFrame(ROWS).lazy())
    pl.DataFrame(ROWS).write_parquet(tmp_path / "a.parquet")
    assert_read(tmp_path / "a.parquet")


def test_data_sets_whatever_they_are_told_to_give():
    datasets = pytest.importorskip("datasets", reason="datasets is not installed")
    whole = datasets.Dataset.from_list(ROWS)
    for source in (whole, whole.with_format("pandas"), whole.with_format("numpy"), whole.to_iterable_dataset(),
                   datasets.IterableDataset.from_generator(lambda: iter(ROWS))):  # fmt: skip
        assert_read(source)
    assert_lists(datasets.Dataset.from_list(LISTS))
    with pytest.raises(DataError, match=r"holds several sets \(train, test\); give one of them"):
        load_feedback(datasets.DatasetDict({"train": whole, "test": whole}))


def workbook(path, *sheets):
    openpyxl = pytest.importorskip("openpyxl", reason="openpyxl is not installed")
    book = openpyxl.Workbook()
    book.remove(book.active)
    for title, rows in sheets:
        page = book.create_sheet(title)
        for row in rows:
            page.append(row)
    book.save(path)
    return path


HEAD = ["prompt", "response", "quotes", "category", "done"]


def test_a_workbook_with_numbers_dates_flags_and_empty_rows(tmp_path):
    day = datetime.datetime(2024, 1, 2, 3, 4)
    rows = [HEAD, ["Who?", "Ada\r\nwas born.", "was", "x", True], [], [7, ANSWER, "a cat|a dog", "y", "yes"],
            [day, ANSWER, None, None, "yes"]]  # fmt: skip
    records = load_feedback(workbook(tmp_path / "a.xlsx", ("Sheet", rows)))
    assert [record.prompt for record in records] == ["Who?", "7", "2024-01-02 03:04:00"]
    assert [record.id for record in records] == ["a-000002", "a-000004", "a-000005"]
    assert records[0].responses[0].text == "Ada\nwas born."
    assert [marks(record) for record in records] == [[(4, 7, "x")], [(30, 35, "y"), (45, 50, "y")], []]


def test_rich_text_of_a_workbook(tmp_path):
    openpyxl = pytest.importorskip("openpyxl", reason="openpyxl is not installed")
    rich = pytest.importorskip("openpyxl.cell.rich_text")
    bold = pytest.importorskip("openpyxl.cell.text").InlineFont(b=True)
    book = openpyxl.Workbook()
    book.active.append(["prompt", "response", "quotes", "category"])
    book.active.append(["?", rich.CellRichText("Ada ", rich.TextBlock(bold, "was"), " born."), "was", "x"])
    book.save(tmp_path / "a.xlsx")
    (record,) = load_feedback(tmp_path / "a.xlsx")
    assert (record.responses[0].text, marks(record)) == ("Ada was born.", [(4, 7, "x")])


def test_which_sheet_is_meant(tmp_path):
    rows = [HEAD, ["?", ANSWER, "a cat", "x", "yes"]]
    assert len(load_feedback(workbook(tmp_path / "a.xlsx", ("one", rows), ("empty", [])))) == 1
    path = workbook(tmp_path / "b.xlsx", ("one", rows), ("two", [*rows, ["!", ANSWER]]))
    with pytest.raises(DataError, match=r"several sheets hold something \(one, two\); name one with --sheet"):
        load_feedback(path)
    assert len(load_feedback(path, sheet="two")) == 2
    with pytest.raises(DataError, match="has no sheet 'three'; there are: one, two"):
        load_feedback(path, sheet="three")


def test_a_sheet_that_is_a_chart_is_no_table(tmp_path):
    openpyxl = pytest.importorskip("openpyxl", reason="openpyxl is not installed")
    charts = pytest.importorskip("openpyxl.chart")
    book = openpyxl.Workbook()
    for row in (["prompt", "response", "n"], ["?", ANSWER, 3]):
        book.active.append(row)
    chart = charts.BarChart()
    chart.add_data(charts.Reference(book.active, min_col=3, min_row=1, max_row=2), titles_from_data=True)
    book.create_chartsheet("chart").add_chart(chart)
    book.save(tmp_path / "a.xlsx")
    assert len(load_feedback(tmp_path / "a.xlsx")) == 1
    with pytest.raises(DataError, match="has no sheet 'chart'; there are: Sheet"):
        load_feedback(tmp_path / "a.xlsx", sheet="chart")


def test_damaged_workbooks_are_told(tmp_path):
    openpyxl = pytest.importorskip("openpyxl", reason="openpyxl is not installed")
    book, stream = openpyxl.Workbook(), io.BytesIO()
    book.active.append(HEAD)
    book.create_chartsheet("without a chart")  # openpyxl writes it and stumbles over it
    book.save(stream)
    for content in (stream.getvalue(), stream.getvalue()[:900], b"PK"):
        (tmp_path / "a.xlsx").write_bytes(content)
        with pytest.raises(DataError, match="cannot be read as an Excel workbook"):
            load_feedback(tmp_path / "a.xlsx")


def test_rows_of_trl_in_parquet_are_read_as_their_format(tmp_path):
    pa = pytest.importorskip("pyarrow", reason="pyarrow is not installed")
    pq = pytest.importorskip("pyarrow.parquet")
    turns = [{"role": "user", "content": "?"}]
    row = {"prompt": turns, "chosen": [{"role": "assistant", "content": "a"}],
           "rejected": [{"role": "assistant", "content": "b"}], "n": 1}  # fmt: skip
    pq.write_table(pa.Table.from_pylist([row, row | {"chosen": None}]), tmp_path / "a.parquet")
    found = read_feedback(tmp_path / "a.parquet", "trl-preference")
    (record,) = found.records
    assert ([turn.content for turn in record.messages], [answer.text for answer in record.responses]) == (
        ["?"],
        ["a", "b"],
    )
    assert record.provenance["fields"] == {"n": 1}
    (problem,) = found.problems
    assert (problem.place.row, "chosen" in problem.reason) == (2, True)
    (record,) = load_feedback([row])
    assert [answer.text for answer in record.responses] == ["a", "b"]
    write_feedback(tmp_path / "b.jsonl", "trl-preference", [record])
