"""`python -m tests.end_to_end.hourly_kills`, small: killed and racing runs end in the same rows."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest

from tests.end_to_end.hourly_kills import (
    Contents,
    Day,
    differences,
    killed,
    raced,
    trained,
    undisturbed,
)
from tests.end_to_end.warm_kedro import WarmKedro
from tests.made_once import made_once

pytestmark = pytest.mark.slow

# Of the day's readings: some come late, with a later part.
FEWEST_PARTS = 2


@pytest.fixture(scope="session")
def calm(tmp_path_factory, trials: int) -> tuple[Path, Contents, list[float]]:
    """The workspace before the day, what an undisturbed day ends in, and the seconds of its runs."""

    def make(folder: Path) -> None:
        day = Day.begun(trained(folder / "before"), folder / "calm", max(trials, FEWEST_PARTS))
        (folder / "calm.json").write_text(json.dumps(undisturbed(day)))

    folder = made_once(tmp_path_factory, "an_undisturbed_day", make)
    return folder / "before", *json.loads((folder / "calm.json").read_text())


@pytest.mark.parametrize("kind", ["kills", "races"])
def test_a_day_of_killed_or_racing_runs_ends_in_the_rows_of_an_undisturbed_one(tmp_path, calm, kind):
    before, wanted, seconds = calm
    day = Day.begun(before, tmp_path / "data", len(seconds))
    if kind == "kills":
        found = killed(day, seconds, random.Random())
    else:
        found = raced(WarmKedro(), day, seconds, random.Random())
    assert differences(found, wanted) == []
    assert day.troubles == []
