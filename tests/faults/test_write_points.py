"""Every call of an hour's run that writes fails once, or is a kill; the next run mends all of it."""

from __future__ import annotations

import errno
import json
import shutil
from pathlib import Path

import pytest

from tests.end_to_end.warm_kedro import warm_kedro
from tests.end_to_end.workspaces import contents
from tests.faults.fault_injection import KILL, FaultyKedro, compile_faults, faulty_kedro, write_points
from tests.made_once import made_once

pytestmark = pytest.mark.slow

# Each of so many trials, which `make test-long` makes, takes its share of the write points.
SHARES = 50
ERRORS = (errno.ENOSPC, errno.EIO, errno.EACCES)
HOUR = "ingest,aggregate,score,incidents,monitor,report,maintain"


def arguments(data: Path, pipelines: str, at: str) -> list[str]:
    params = (
        f"data={data},at={at},simulate.devices=3,simulate.days=2,simulate.sensors=[temperature,vibration],"
        "train.fit.max_train_windows=200,maintain.compact_from=2,"
        f"alerts.warming_up=true,alerts.sinks=[{{type: file, path: {data}/alerts.jsonl}}]"
    )
    return ["run", *([f"--pipelines={pipelines}"] if pipelines else []), "--params", params]


def an_hour(data: Path) -> list[str]:
    return arguments(data, HOUR, "2026-01-07T01:05Z")


@pytest.fixture(scope="session")
def before(tmp_path_factory) -> Path:
    """Two days, scored, and a file with the readings of the next hour, one of them no number."""

    def make(folder: Path) -> None:
        code, output = warm_kedro().run(arguments(folder / "data", "", "2026-01-07T00:05Z"))
        assert code == 0, output
        lines = ["timestamp,device,sensor,value", "2026-01-07T00:00:30Z,pump-01,temperature,oops"]
        for minute in range(60):
            for device in (1, 2, 3):
                for sensor, usual in (("temperature", 20), ("vibration", 1)):
                    value = usual + minute % 7 / 100 + (500 if device == 2 and minute >= 30 else 0)
                    lines.append(f"2026-01-07T00:{minute:02d}:00Z,pump-{device:02d},{sensor},{value}")
        (folder / "data/01_raw/readings/hour.csv").write_text("\n".join(lines) + "\n")

    return made_once(tmp_path_factory, "before_an_hour", make) / "data"


@pytest.fixture(scope="session")
def kedro(tmp_path_factory) -> FaultyKedro:
    return faulty_kedro(made_once(tmp_path_factory, "faults", compile_faults))


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory, before: Path, kedro: FaultyKedro) -> tuple[list[int], dict[str, list[str]]]:
    """The write points of an undisturbed hour, and what it ends in."""

    def make(folder: Path) -> None:
        data = shutil.copytree(before, folder / "data")
        calls = kedro.count(folder, an_hour(data))
        (folder / "made.json").write_text(json.dumps([write_points(calls), contents(data)]))

    made = made_once(tmp_path_factory, "an_undisturbed_hour", make)
    points, wanted = json.loads((made / "made.json").read_text())
    return points, wanted


@pytest.mark.parametrize("way", ["fails", "is_killed"])
def test_an_hour_that_ends_at_any_write_and_is_repeated_ends_in_the_same_rows(
    tmp_path, before, kedro, undisturbed, trial, trials, way
):
    points, wanted = undisturbed
    places = range(trial, len(points), SHARES)
    if trials == 1:  # a single one: half of its share fails, the other half is a kill
        places = places[way == "is_killed" :: 2]
    for place in places:
        error = KILL if way == "is_killed" else ERRORS[place % len(ERRORS)]
        folder = tmp_path / f"{points[place]}"
        data = shutil.copytree(before, folder / "data")
        code, output = kedro.run(folder, an_hour(data), points[place], error)
        where = f"call {points[place]}, error {error}: {code}\n{output}"
        assert code in ((-9,) if error == KILL else (0, 1)), where
        assert "Traceback" not in output, where
        assert "unexpected" not in output, where
        assert output.count("Error: ") == (code == 1), where
        again, output = kedro.run(folder, an_hour(data))
        assert again == 0, f"{where}\nagain: {output}"
        assert contents(data) == wanted, where
        shutil.rmtree(folder)
