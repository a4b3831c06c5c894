"""What one would write: windows by Polars, and in a loop each series' pickle and its ``decision_function``.

    python -m competitors.polars_loop MODELS HOUR.parquet PREDICTIONS.parquet [HOUR_BEFORE.parquet]

The predictions hold the features, so those of the hour before tell the means it ended with.
"""

from __future__ import annotations

import pickle
import sys
from pathlib import Path

import polars as pl

from competitors.polars_windows import FEATURES, windows_of


def main() -> None:
    models, hour, predictions, *before = map(Path, sys.argv[1:])
    windows = windows_of(pl.read_parquet(hour), pl.read_parquet(before[0]) if before else None)
    scored = []
    for (device,), rows in windows.group_by("device", maintain_order=True):
        model, threshold = pickle.loads((models / f"{device}.pkl").read_bytes())
        scores = model.decision_function(rows.select(FEATURES).to_numpy())
        is_anomaly = scores < threshold
        scored.append(rows.with_columns(pl.Series("score", scores), pl.Series("is_anomaly", is_anomaly)))
    table = pl.concat(scored)
    table.write_parquet(predictions)
    print(f"{table.height:,} windows scored, {table['is_anomaly'].sum():,} of them anomalies")


if __name__ == "__main__":
    main()
