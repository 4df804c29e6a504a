"""A study's records as one table on disk."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from benchmark.core.files import replacing, write_atomically


def write_collected(results: Path, frame: pd.DataFrame) -> list[Path]:
    """Write ``frame`` as Parquet and as CSV into the study's results; the two files."""
    parquet, table = results / "collected.parquet", results / "collected.csv"
    with replacing(parquet) as stream:
        frame.to_parquet(stream, index=False)
    write_atomically(table, frame.to_csv(index=False))
    return [parquet, table]
