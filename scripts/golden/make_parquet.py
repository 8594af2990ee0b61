#!/usr/bin/env python3
"""Writes the Parquet files of crates/data/tests/golden/parquet, with pyarrow.

    pip install pyarrow==26.0.1
    scripts/golden/make_parquet.py crates/data/tests/golden/parquet
"""

import datetime
import decimal
import pathlib
import sys

import pyarrow as pa
import pyarrow.parquet as pq

folder = pathlib.Path(sys.argv[1])
folder.mkdir(parents=True, exist_ok=True)

# Every type that can be read and some that cannot, with nulls; three row groups.
UTC = datetime.timezone.utc
noon = datetime.datetime(2020, 1, 31, 12, 34, 56, 500000)
types = pa.table(
    {
        "text": pa.array(["ä b", None, "", "x\ny", "z"]),
        "label": pa.array([1, 0, 1, None, 0], pa.int64()),
        "double": pa.array([0.5, 1.0, None, float("nan"), -3e300]),
        "float": pa.array([0.1, 1.0, None, 2.5, 3.0], pa.float32()),
        "half": pa.array([0.5, 1.0, None, 2.5, 3.0], pa.float16()),
        "flag": pa.array([True, False, None, True, False]),
        "tiny": pa.array([-1, 2, None, 3, 4], pa.int8()),
        "unsigned": pa.array([2**64 - 1, 1, None, 3, 4], pa.uint64()),
        "unsigned32": pa.array([2**32 - 1, 1, None, 3, 4], pa.uint32()),
        "category": pa.array(["a", "b", None, "a", "a"]).dictionary_encode(),
        "date": pa.array([datetime.date(1969, 12, 31), None, datetime.date(2024, 2, 29)] + [None] * 2),
        "local": pa.array([noon, None, noon.replace(microsecond=0)] + [None] * 2, pa.timestamp("us")),
        "utc": pa.array([noon.replace(tzinfo=UTC)] + [None] * 4, pa.timestamp("ms", tz="UTC")),
        "nanos": pa.array([1, None, -1, 0, None], pa.timestamp("ns")),
        "time": pa.array([datetime.time(1, 2, 3), None, datetime.time(1, 2, 3, 400)] + [None] * 2),
        "money": pa.array([decimal.Decimal("-1.50"), None, decimal.Decimal("123.45")] + [None] * 2, pa.decimal128(9, 2)),
        "list": pa.array([["a"], None, [], ["b", "c"], ["d"]]),
        "struct": pa.array([{"a": 1, "b": "x"}] * 5),
        "map": pa.array([[("k", 1)]] * 5, pa.map_(pa.string(), pa.int64())),
        "bytes": pa.array([b"\x00\xff"] * 5),
        "fixed": pa.array([b"\x00\xff"] * 5, pa.binary(2)),
        "last": pa.array(["1", "2", "3", "4", "5"]),
    }
)
pq.write_table(types, folder / "types.parquet", row_group_size=2, store_schema=False)

small = pa.table({"text": ["good film", "bad film", None] * 20, "label": pa.array(list(range(60)), pa.int64())})
for codec in ["none", "snappy", "gzip", "zstd", "lz4", "brotli"]:
    pq.write_table(small, folder / f"{codec}.parquet", compression=codec, store_schema=False)
# Pages of the second version, whose levels are not compressed, without dictionaries.
for codec in ["snappy", "zstd"]:
    pq.write_table(
        small, folder / f"{codec}-v2.parquet", compression=codec, data_page_version="2.0", use_dictionary=False, store_schema=False
    )
pq.write_table(small.slice(0, 0), folder / "no-rows.parquet", store_schema=False)
pq.write_table(types.select(["list"]), folder / "only-lists.parquet", store_schema=False)
legacy = pa.table({"text": ["a"], "when": pa.array([noon], pa.timestamp("ns"))})
pq.write_table(legacy, folder / "int96.parquet", use_deprecated_int96_timestamps=True, store_schema=False)

# Rows to train on: two classes, a number, and pairs of texts.
rows = range(24)
reviews = pa.table(
    {
        "id": pa.array(list(rows), pa.int32()),
        "text": [("a good film " if row % 2 else "a dull film ") + "abcdefgh"[row % 8] for row in rows],
        "other": [("good " if row % 3 else "dull ") + "music" for row in rows],
        "label": pa.array([row % 2 for row in rows], pa.int64()),
        "score": [row % 2 + row / 100 for row in rows],
        "seen": [row % 4 == 0 for row in rows],
        "vector": [[0.5, 1.5]] * 24,
    }
)
pq.write_table(reviews, folder / "reviews.parquet", compression="zstd", store_schema=False)
