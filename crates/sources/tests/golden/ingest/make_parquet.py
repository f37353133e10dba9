"""Converts sample.csv to sample-polars.parquet (zstd, text as views) and sample-arrow.parquet (snappy, categories).

    python3 make_parquet.py        # polars 2.1, pyarrow 26.0
"""

import os

import polars
import pyarrow.parquet

here = os.path.dirname(os.path.abspath(__file__))
table = polars.read_csv(os.path.join(here, "sample.csv"), schema_overrides={"specObjID": polars.UInt64})
table.write_parquet(os.path.join(here, "sample-polars.parquet"))
arrow = table.with_columns(polars.col("field").cast(polars.Categorical)).to_arrow()
pyarrow.parquet.write_table(arrow, os.path.join(here, "sample-arrow.parquet"), compression="snappy")
