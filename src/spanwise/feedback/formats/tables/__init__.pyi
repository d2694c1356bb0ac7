from .layout import Layout as Layout
from .marks import TableReading as TableReading
from .rows import is_parquet as is_parquet
from .rows import is_table as is_table
from .rows import open_table as open_table
from .values import outcomes_of as outcomes_of
from .writing import write_rows as write_rows
