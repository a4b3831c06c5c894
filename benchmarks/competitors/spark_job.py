"""PySpark in local mode: windows grouped by device, each group scored by a pandas function.

    python -m competitors.spark_job FLEET OUT

The whole job, from its process's start to predictions in Parquet files. A group's function unpickles
its device's model from the folder of pickles, as is usual where models are files.
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

SCHEMA = (
    "window_start timestamp, window_end timestamp, device string, sensor string, value double, "
    "score double, is_anomaly boolean"
)


def main(fleet_folder: str, out: str) -> None:
    from pyspark.sql import SparkSession
    from workspace import open_fleet

    fleet = open_fleet(Path(fleet_folder))
    pickles = str(fleet.pickles)

    def score(frame):  # type: ignore[no-untyped-def]
        import pickle

        frame = frame.sort_values("window_start")
        pipeline = pickle.loads(Path(pickles, f"{frame['device'].iloc[0]}.pkl").read_bytes())
        scores = pipeline.decision_function(frame.iloc[:, 5:].to_numpy())
        keys = frame[["window_start", "window_end", "device", "sensor"]]
        return keys.assign(value=frame["mean"], score=scores, is_anomaly=scores < 0)

    os.environ["PYSPARK_PYTHON"] = sys.executable
    os.environ["SPARK_LOCAL_IP"] = "127.0.0.1"
    cores = len(os.sched_getaffinity(0))
    with tempfile.TemporaryDirectory() as scratch:
        spark = (
            SparkSession.builder.master(f"local[{cores}]")
            .config("spark.ui.enabled", "false")
            .config("spark.sql.session.timeZone", "UTC")
            # The default, 200 partitions, would cost a small machine far more.
            .config("spark.sql.shuffle.partitions", 2 * cores)
            .config("spark.local.dir", scratch)
            .config("spark.sql.warehouse.dir", scratch)
            .getOrCreate()
        )
        windows = spark.read.parquet(str(fleet.windows_file))
        windows.groupBy("device").applyInPandas(score, SCHEMA).write.mode("overwrite").parquet(out)
        spark.stop()


if __name__ == "__main__":
    main(*sys.argv[1:])
