"""The same without models: how far a window lies from the median of the training, by its largest feature.

python -m competitors.polars_robust_z ROBUST.parquet HOUR.parquet PREDICTIONS.parquet [HOUR_BEFORE.parquet]
"""

from __future__ import annotations

import sys
from pathlib import Path

import polars as pl

from competitors.polars_windows import FEATURES, windows_of

# Of the median of the absolute deviations, to be a standard deviation where these are normal.
NORMAL = 1.4826


def robust_z() -> pl.Expr:
    """The largest z-score of the features, of windows joined with ``median_…`` and ``mad_…``."""
    return pl.max_horizontal(
        (pl.col(name) - pl.col(f"median_{name}")).abs() / (NORMAL * pl.col(f"mad_{name}"))
        for name in FEATURES
    )


def main() -> None:
    robust, hour, predictions, *before = map(Path, sys.argv[1:])
    windows = windows_of(pl.read_parquet(hour), pl.read_parquet(before[0]) if before else None)
    table = (
        windows.join(pl.read_parquet(robust), on="device", maintain_order="left")
        .with_columns(score=robust_z())
        .with_columns(is_anomaly=pl.col("score") > pl.col("threshold"))
        .select("device", "window_start", *FEATURES, "score", "is_anomaly")
    )
    table.write_parquet(predictions)
    print(f"{table.height:,} windows scored, {table['is_anomaly'].sum():,} of them anomalies")


if __name__ == "__main__":
    main()
