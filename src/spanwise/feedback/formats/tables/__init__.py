"""Tables: CSV, TSV, Excel, Parquet, data sets of `datasets` and frames, whose rows become the values of records.

`rows` knows kinds of files and objects, `layout` which column means what, `cells` what a cell may hold, `marks` where
a quote stands in its answer, `values` what rows become, `writing` how rows are written. A new kind of table is a
function in `rows`. Nothing here knows our records: `feedback.files` and `formats.table` check the values against them.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
