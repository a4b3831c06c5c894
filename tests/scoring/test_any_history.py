"""Whatever came before, one whole run leaves each window scored once, and totals that are a count of all."""

from __future__ import annotations

import math
from typing import Any

import deltalake
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.examples import few_examples
from tests.scoring.work import Key, Work, assert_totals_are_a_count, at

pytestmark = pytest.mark.slow

SENSORS, DEVICES, STEPS = "st", "abc", 14

keys = st.tuples(st.sampled_from(SENSORS), st.sampled_from(DEVICES), st.integers(0, STEPS - 1))
windows = st.dictionaries(keys, st.sampled_from([0.0, 3.0, math.nan]), min_size=1, max_size=12)
moments = st.integers(0, STEPS).map(at)
selections = st.fixed_dictionaries(
    {},
    optional={
        "sensor": st.sampled_from(["s", ["s", "t"]]),
        "device": st.sampled_from(["a", ["a", "b"]]),
        "shard": st.sampled_from(["1/2", "2/2", "3/3"]),
    },
)
ranges = st.tuples(moments, moments).map(lambda some: dict(zip(("from", "to"), sorted(some), strict=True)))
runs = st.builds(
    lambda chosen, more, moment, save: {"at": moment, "save": save, **chosen, **more},
    selections,
    st.one_of(st.just({}), st.just({}), ranges, st.just({"rescore": True})),
    moments,
    st.sampled_from([0, 1, 2, 2, 2]),
)
steps = st.one_of(
    st.tuples(st.just("put"), windows),
    st.tuples(st.just("put"), windows),
    st.tuples(st.just("other settings"), windows),
    st.tuples(st.just("train"), st.sampled_from(SENSORS), st.sampled_from(DEVICES)),
    st.tuples(st.just("score"), runs),
    st.tuples(st.just("score"), runs),
    st.tuples(st.just("overtaken"), runs, st.sampled_from([0, 1]), windows, moments),
    st.tuples(st.just("compact"), st.sampled_from(["windows", "predictions", "totals"])),
)


class History:
    """A workspace, and what its windows and models are."""

    def __init__(self, folder: Any) -> None:
        self.work = Work(folder)
        self.values: dict[Key, float] = {}
        self.modelled: dict[str, set[str]] = {sensor: set() for sensor in SENSORS}
        self.settings = 1
        self.is_killed = False

    def take(self, kind: str, *what: Any) -> None:
        if kind == "put":
            self.values |= what[0]
            self.work.put(what[0], settings=self.settings)
        elif kind == "other settings":
            self.settings += 1
            # The first day stays, or its predictions would count as older than the windows that are kept.
            self.values = {("s", "a", 0): 0.0, **what[0]}
            self.work.aggregate_otherwise(self.values, self.settings)
        elif kind == "train":
            sensor, device = what
            self.modelled[sensor].add(device)
            version = str(sum(map(len, self.modelled.values())))
            self.work.train(sorted(self.modelled[sensor]), sensor, version)
        elif kind == "compact":
            if self.work.windows.load().exists and (self.work.folder / what[0] / "_delta_log").exists():
                deltalake.DeltaTable(self.work.folder / what[0]).optimize.compact()
        elif kind == "overtaken":
            asked, before, windows, moment = what

            def meanwhile() -> None:
                self.take("put", windows)
                self.score(at=moment, save=2)

            self.score(**asked, meanwhile=meanwhile, before=before)
        else:
            self.score(**what[0])

    def score(self, **asked: Any) -> None:
        sensors = set(asked.get("sensor", SENSORS))
        devices = {device for sensor, device, _ in self.values if sensor in sensors}
        if not self.values or not set(asked.get("device", ())) <= devices:
            return
        if "sensor" in asked and not sensors <= {sensor for sensor, _, _ in self.values}:
            return
        self.work.score(max_failed_share=1, **asked)
        self.is_killed |= asked["save"] < 2
        is_whole = not {"sensor", "device", "shard"} & asked.keys() and asked["save"] == 2
        self.is_killed &= not is_whole
        if not self.is_killed:
            assert_totals_are_a_count(self.work)

    def expected(self) -> tuple[set[Key], dict[Key, str]]:
        """The windows with a prediction in the end, and those without."""
        scored, unscored = set(), {}
        for key, value in self.values.items():
            if key[1] not in self.modelled[key[0]]:
                unscored[key] = "no_model"
            elif math.isnan(value):
                unscored[key] = "bad_features"
            else:
                scored.add(key)
        return scored, unscored


@few_examples
@given(st.lists(steps, min_size=1, max_size=9), windows)
def test_any_history_ends_in_what_one_run_gives(tmp_path_factory, taken, last):
    history = History(tmp_path_factory.mktemp("work"))
    for kind, *what in [*taken, ("put", last)]:
        history.take(kind, *what)
    work = history.work
    work.score(max_failed_share=1)
    scored, unscored = history.expected()
    rows = work.rows()
    assert set(rows) == scored
    assert {key: row["value"] for key, row in rows.items()} == {key: history.values[key] for key in scored}
    assert_totals_are_a_count(work, unscored)
    assert work.score(max_failed_share=1) == (False, False)

    alone = Work(tmp_path_factory.mktemp("alone"))
    alone.put(history.values)
    for sensor, devices in history.modelled.items():
        if devices:
            alone.train(sorted(devices), sensor)
    alone.score(max_failed_share=1)
    assert {key: without_version(row) for key, row in alone.rows().items()} == {
        key: without_version(row) for key, row in rows.items()
    }


def without_version(row: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name != "model_version"}
