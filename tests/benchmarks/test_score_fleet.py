"""The benchmark of scoring a fleet runs, compares, and says what it found."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
FIGURES = {
    "sklearn_loop_over_ours",
    "spark_over_ours",
    "cold_job_over_imports",
    "growth_10x",
    "peak_rss_gib",
    "parallel_speedup",
    "parallel_speedup_in_process",
    "parallel_speedup_cold_job",
}

# In one process, so that the benchmark is run once for all of these tests.
pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("score_fleet")]


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, BENCHMARKS / "score_fleet.py", "--sizes=10", "--rounds=0", "--processes=1"]
    return subprocess.run(
        [*map(str, command), *arguments, f"--keep={folder}"], capture_output=True, text=True, check=False
    )


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder whose fleet of ten the tests of this module share."""
    return tmp_path_factory.mktemp("fleets")


@pytest.fixture(scope="module")
def result(kept: Path) -> dict[str, Any]:
    finished = run(kept, "--without", "spark", "--json")
    assert finished.returncode == 0, finished.stderr
    return json.loads(finished.stdout)


def test_every_figure_has_a_key_and_what_was_not_measured_is_null(result: dict[str, Any]) -> None:
    assert result.keys() >= FIGURES
    assert {key for key in FIGURES if result[key] is None} == {
        "spark_over_ours",
        "growth_10x",
        "peak_rss_gib",
    }
    assert all(result[key] > 0 for key in FIGURES if result[key] is not None)
    assert result["left_out"] == ["spark"]


def test_all_contenders_give_the_same_scores(result: dict[str, Any]) -> None:
    contenders = {row["contender"] for row in result["rows"]}
    assert contenders >= {"sklearn_pickles", "joblib_bundle", "process_per_model", "ours", "cold_job"}
    assert 0 < result["largest_difference"] <= 1e-9


def test_what_was_extrapolated_says_on_how_many_models_it_was_measured(result: dict[str, Any]) -> None:
    measured_on = {row["contender"]: row["measured_on"] for row in result["rows"]}
    assert measured_on.pop("process_per_model") == 1
    assert set(measured_on.values()) == {10}


def test_a_process_is_not_charged_with_the_memory_of_the_benchmark_itself(result: dict[str, Any]) -> None:
    peak = {row["contender"]: row["peak_gib"] for row in result["rows"]}
    # Reading bytes needs a bare Python only, and the benchmark holds scikit-learn.
    assert peak["read_bytes"] < 0.05 < peak["cold_job"]


def test_scores_that_differ_stop_the_benchmark(kept: Path, result: dict[str, Any]) -> None:
    del result  # made the fleet
    (pickle,) = (kept / "10" / "pickles").glob("pump-0000007.pkl")
    was = pickle.read_bytes()
    pickle.write_bytes((kept / "10" / "pickles" / "pump-0000008.pkl").read_bytes())
    try:
        finished = run(kept, "--without", "spark,joblib_bundle,process_per_model")
    finally:
        pickle.write_bytes(was)
    assert finished.returncode != 0
    assert "differ from scikit-learn's" in finished.stderr
    assert finished.stdout == ""


def test_a_fleet_is_the_same_however_often_it_is_made_and_no_two_of_its_models_are_alike(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    import fleets

    bases = fleets.Bases()
    first, again = (fleets.Part(bases, 0, 450) for _ in range(2))
    assert first.models().equals(again.models())
    assert first.windows().equals(again.windows())
    table = first.models()
    vectors = [np.array(row) for row in table["support_vectors"].to_pylist()]
    # Devices 0, 200 and 400 share a base.
    assert vectors[0].shape == vectors[200].shape
    assert np.abs(vectors[0] - vectors[200]).min() > 0
    assert 60 < np.mean([len(row) for row in table["dual_coef"].to_pylist()]) < 80
