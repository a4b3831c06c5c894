"""Scoring a fleet four times as large takes no more memory."""

import subprocess
import sys

import numpy as np
import pyarrow as pa
import pytest

from batch_scoring.detection.model import FleetInfo, FleetModel
from batch_scoring.detection.model_file import FleetFile, write_models
from batch_scoring.registry.published import publish
from batch_scoring.tables.fingerprints import TableDigest
from batch_scoring.tables.schemas import MODELS, windows_schema
from batch_scoring.tables.streams import Stream
from batch_scoring.windows.features import DEFAULT_FEATURES
from tests.factories import MINUTE_US, START_US
from tests.partitions import Store

KEY = "s/2026-01-05"
PART = 4_096
N_SV, N_WINDOWS, D = 64, 12, len(DEFAULT_FEATURES)

PROGRAM = """
import re, sys
from pathlib import Path
from batch_scoring.pipelines.score.nodes import score_windows
from batch_scoring.registry.published import load_published
from tests.partitions import Store

folder = Path(sys.argv[1])
windows, predictions, status = (Store(folder / name) for name in "wps")

models = {"s": lambda: load_published(folder / "m", "s")}
stored = (predictions.load(), status.load())
for new, told, _ in score_windows(windows.load(), models, *stored, {}, "2026-02-01T00:00Z", None, None):
    predictions.save(new)
    status.save(told)
# Not ru_maxrss, which starts with the memory of the process that started this one.
print(re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1])
"""


def devices_of(first):
    return pa.array([f"pump-{i:07d}" for i in range(first, first + PART)])


def models_of(first):
    """Models whose support vectors are noise: what they say does not matter here, their size does."""
    rng = np.random.default_rng(first)

    def lists(values, width):
        return pa.ListArray.from_arrays(
            pa.array(np.arange(PART + 1, dtype=np.int32) * width), pa.array(values)
        )

    columns = {
        "device": devices_of(first),
        **{name: np.full(PART, 500) for name in ("n_train", "trained_from", "trained_to")},
        **{name: np.full(PART, 0.1) for name in ("nu", "gamma", "rho")},
        **{name: lists(np.ones(PART * D), D) for name in ("mean", "scale")},
        "support_vectors": lists(rng.normal(size=PART * N_SV * D), N_SV * D),
        "dual_coef": lists(rng.random(PART * N_SV), N_SV),
        **{name: np.zeros(PART) for name in ("threshold", "train_flag_rate")},
    }
    table = pa.table([pa.array(columns[f.name]).cast(f.type) for f in MODELS], schema=MODELS)
    return FleetModel.build(table, FleetInfo("s", DEFAULT_FEATURES, 300.0, {}))


def windows_of(first):
    rng = np.random.default_rng(first + 1)
    n = PART * N_WINDOWS
    start = START_US + 5 * MINUTE_US * np.tile(np.arange(N_WINDOWS), PART)
    of_device = pa.array(np.repeat(np.arange(PART), N_WINDOWS))
    keys = [start, start + 5 * MINUTE_US, devices_of(first).take(of_device), ["s"] * n, np.full(n, 5)]
    columns = [*keys, *rng.normal(size=(D, n))]
    schema = windows_schema(DEFAULT_FEATURES)
    return pa.table([pa.array(c).cast(f.type) for c, f in zip(columns, schema, strict=True)], schema=schema)


def make_fleet(folder, n_devices):
    folder.mkdir()
    firsts = range(0, n_devices, PART)
    scratch = folder / "models.arrow"
    write_models(scratch, FleetInfo("s", DEFAULT_FEATURES, 300.0, {}), map(models_of, firsts))
    publish(folder / "m", FleetFile(scratch), "1", "run", "fingerprint")
    scratch.unlink()
    digest = TableDigest()
    footer = {}

    def batches():
        for first in firsts:
            part = windows_of(first)
            digest.update(part)
            yield part
        footer["digest"] = digest.hexdigest()

    Store(folder / "w").save({KEY: Stream(windows_schema(DEFAULT_FEATURES), batches(), footer)})


def score(folder):
    """Peak memory, in MiB, of a process that scores the fleet."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(folder)], check=True, capture_output=True, text=True
    )
    return int(done.stdout.splitlines()[-1]) / 1024


@pytest.mark.slow
def test_memory_does_not_grow_with_the_fleet(tmp_path):
    taken = {}
    for n_devices in (32 * PART, 80 * PART):
        make_fleet(tmp_path / str(n_devices), n_devices)
        taken[n_devices] = score(tmp_path / str(n_devices))
        rows = sum(
            load().metadata.num_rows for load in Store(tmp_path / str(n_devices) / "p").load().values()
        )
        assert rows == n_devices * N_WINDOWS
    small, large = taken.values()
    # The larger fleet has 900 MiB more of models, windows and predictions; of its status, which is kept
    # until it is written, 15 MiB. The rest is for an allocator that takes its time.
    assert large < small + 150, taken
