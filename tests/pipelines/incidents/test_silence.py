"""A device that stops is notified once, and closed when it is back."""

from __future__ import annotations

import pyarrow as pa
import pytest

from batch_scoring.pipelines.incidents.nodes import find_stretches
from batch_scoring.tables.schemas import WINDOW_KEYS
from tests.alerts.events import Recorder
from tests.factories import START
from tests.incidents.test_gaps import windows_of
from tests.pipelines.incidents.work import Work
from tests.predictions import WINDOW

pytestmark = pytest.mark.slow

DAY = 288
HOURLY = 12


class Plant(Work):
    """Devices that send every five minutes, and what the pipeline says of it."""

    def __init__(self, folder):
        super().__init__(folder)
        self.sink = Recorder()

    def send(self, first: int, end: int, *devices: str) -> None:
        self.windows.add(windows_of({("temp", device): set(range(first, end)) for device in devices}))

    def run(self, now: int, **settings: object) -> None:
        self.gaps.save(find_stretches(self.windows.load(), self.predictions.load(), settings)["gaps"])
        self.settings = settings
        self.notify(lambda _: [self.sink], (START + now * WINDOW).isoformat())

    def told(self) -> list[tuple[str, str, str]]:
        return [(m["kind"], m["device"] or "all", m["change"]) for m in self.sink.got]

    def listed(self) -> list[tuple[object, ...]]:
        rows = self.ranking.load().read().to_pylist()
        return [(r["kind"], r["device"], r["state"], r["start"], r["end"]) for r in rows]


@pytest.fixture
def plant(tmp_path):
    """Two devices that have sent for seven days, and one of them for three more."""
    plant = Plant(tmp_path)
    plant.send(0, 7 * DAY, "alive", "dead")
    plant.run(7 * DAY)
    assert plant.told() == []
    return plant


def test_a_device_is_told_when_it_has_been_silent_for_long_and_when_it_is_back(plant):
    for hour in range(20):
        plant.send(7 * DAY + hour * HOURLY, 7 * DAY + (hour + 1) * HOURLY, "alive")
        plant.run(7 * DAY + (hour + 1) * HOURLY)
        assert plant.told() == ([("device_silent", "dead", "opened")] if hour >= 12 else [])
    assert plant.listed() == [
        ("device_silent", "dead", "open", START + 7 * DAY * WINDOW, START + (7 * DAY + 240) * WINDOW)
    ]
    plant.send(7 * DAY + 240, 7 * DAY + 252, "alive", "dead")
    plant.run(7 * DAY + 252)
    assert plant.told()[1:] == [("device_silent", "dead", "closed")]


def test_the_setting_says_after_which_time(plant):
    plant.send(7 * DAY, 7 * DAY + 25, "alive")
    plant.run(7 * DAY + 25, silence={"device_after": "2h"})
    assert plant.told() == [("device_silent", "dead", "opened")]


def test_late_windows_take_a_silence_back(plant):
    plant.send(7 * DAY, 8 * DAY, "alive")
    plant.run(8 * DAY)
    plant.send(7 * DAY, 8 * DAY, "dead")
    plant.run(8 * DAY + 1)
    assert plant.listed() == []
    assert plant.told() == [("device_silent", "dead", "opened"), ("device_silent", "dead", "withdrawn")]


def test_a_replay_lists_the_same(plant, tmp_path_factory):
    plant.send(7 * DAY, 10 * DAY, "alive")
    plant.send(9 * DAY, 10 * DAY, "dead")
    plant.run(10 * DAY)
    replay = Plant(tmp_path_factory.mktemp("replay"))
    replay.windows.add(pa.concat_tables([plant.windows.load().read().select(WINDOW_KEYS.names)]))
    replay.run(10 * DAY)
    assert replay.listed() == plant.listed() != []
