"""Every closed window is scored once; a changed one again; nothing is lost and nothing doubled."""

from datetime import timedelta

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from batch_scoring.core.errors import InputError
from batch_scoring.detection.score import score_fleet
from batch_scoring.pipelines.score.nodes import score_windows
from batch_scoring.registry.published import load_published, publish
from batch_scoring.tables.fingerprints import table_digest
from batch_scoring.tables.partitions import partition_key
from batch_scoring.tables.streams import Stream, footer_text
from tests.factories import START, make_model, make_windows
from tests.partitions import Store

KEY = "s/2026-01-05"


class Workspace:
    """One day of windows of sensor s, its champion, and what was scored."""

    def __init__(self, folder, devices=("a", "b")):
        self.folder = folder
        self.windows, self.predictions = Store(folder / "w"), Store(folder / "p")
        self.status = Store(folder / "s")
        self.devices = list(devices)

    def put(self, X, devices=None, sensor="s"):
        """Store the day's windows."""
        table = make_windows(X, devices or self.devices * (len(X) // len(self.devices)), sensor)
        table = table.sort_by([("device", "ascending"), ("window_start", "ascending")])
        key = partition_key(sensor, START.date())
        self.windows.save({key: Stream(table.schema, iter([table]), {"digest": table_digest(table)})})
        return table

    def champion(self, devices=None, version="1", threshold=0.0):
        """Publish a model."""
        model = make_model(devices or self.devices, threshold=threshold)
        publish(self.folder / "m", model, version, "run", f"f{version}")

    def score(self, device=None, sensor=None, at="2026-02-01T00:00Z", save=2, shard=None, **changes):
        """Run the node; which partitions of predictions it wrote. ``save`` ends it early, as a kill does."""
        models = {"s": lambda: load_published(self.folder / "m", "s")} if (self.folder / "m").exists() else {}
        written = []
        for chunk in score_windows(
            self.windows.load(),
            models,
            self.predictions.load(),
            self.status.load(),
            changes,
            at,
            device,
            sensor,
            shard,
        ):
            stores = (self.predictions, self.status)
            for store, part in list(zip(stores, chunk[:2], strict=True))[:save]:
                store.save(part)
            written += sorted(chunk[0])
            self.counts = chunk[2]
        return written

    def rows(self):
        """The predictions by device and minute."""
        return {
            (r["device"], (r["window_start"] - START) // timedelta(minutes=5)): r
            for r in self.predictions.table().to_pylist()
        }


def test_predictions_are_those_of_the_fleet(tmp_path):
    work = Workspace(tmp_path)
    windows = work.put(np.linspace(-2, 2, 20)[:, None])
    work.champion()
    assert work.score() == [KEY]
    expected, status = score_fleet(windows, make_model(["a", "b"]), "1")
    assert work.predictions.table().equals(expected)
    assert work.status.table().equals(status)


def test_a_second_run_writes_nothing(tmp_path):
    work = Workspace(tmp_path)
    work.put(np.zeros((10, 1)))
    work.champion()
    work.score()
    assert work.score() == []


def test_a_changed_window_is_scored_again_and_no_other(tmp_path):
    work = Workspace(tmp_path)
    X = np.zeros((10, 1))
    work.put(X)
    work.champion()
    work.score()
    before = work.rows()
    X[4] = 3.0
    work.put(X)
    work.champion(version="2")
    assert work.score() == [KEY]
    after = work.rows()
    changed = [key for key in after if after[key] != before[key]]
    assert changed == [("a", 2)]
    assert (after["a", 2]["is_anomaly"], after["a", 2]["model_version"]) == (True, "2")


def test_a_new_champion_does_not_score_old_windows_again_unless_told(tmp_path):
    work = Workspace(tmp_path)
    work.put(np.zeros((4, 1)))
    work.champion()
    work.score()
    work.champion(version="2")
    work.score()
    assert {row["model_version"] for row in work.rows().values()} == {"1"}
    work.score(rescore=True)
    assert {row["model_version"] for row in work.rows().values()} == {"2"}


def test_windows_of_a_device_without_a_model_are_scored_when_it_has_one(tmp_path):
    work = Workspace(tmp_path)
    work.put(np.zeros((4, 1)))
    work.champion(["a"])
    work.score()
    assert {device for device, _ in work.rows()} == {"a"}
    assert work.status.table()["status"].to_pylist() == ["ok", "no_model"]
    work.champion(version="2")
    work.score()
    versions = {device: row["model_version"] for (device, _), row in work.rows().items()}
    assert versions == {"a": "1", "b": "2"}
    assert work.status.table()["status"].to_pylist() == ["ok", "ok"]


def test_only_closed_windows_are_scored_and_the_rest_later(tmp_path):
    work = Workspace(tmp_path)
    work.put(np.zeros((6, 1)))
    work.champion()
    work.score(at="2026-01-05T00:10Z")
    assert set(work.rows()) == {("a", 0), ("a", 1), ("b", 0), ("b", 1)}
    work.score(at="2026-01-05T00:15Z", allowed_lateness="1m")
    assert len(work.rows()) == 4
    work.score(at="2026-01-05T00:15Z")
    assert len(work.rows()) == 6


def test_before_any_window_is_closed_nothing_is_written(tmp_path):
    work = Workspace(tmp_path)
    work.put(np.zeros((2, 1)))
    work.champion()
    assert work.score(at="2026-01-05T00:01Z") == []


def test_a_range_is_half_open_and_the_rest_is_scored_by_the_next_run(tmp_path):
    work = Workspace(tmp_path)
    work.put(np.zeros((8, 1)))
    work.champion()
    work.score(**{"from": "2026-01-05T00:05Z", "to": "2026-01-05T00:15Z"})
    assert {step for _, step in work.rows()} == {1, 2}
    assert work.score(**{"from": "2026-01-06T00:00Z"}) == []
    work.score()
    assert {step for _, step in work.rows()} == {0, 1, 2, 3}


def test_one_device_alone_leaves_the_others_predictions_as_they_were(tmp_path):
    work = Workspace(tmp_path)
    work.put(np.zeros((4, 1)))
    work.champion()
    work.score()
    before = work.rows()
    work.put(np.full((4, 1), 3.0))
    work.score(device="a")
    after = work.rows()
    assert after.keys() == before.keys()
    assert [key for key in after if after[key] != before[key]] == [("a", 0), ("a", 1)]
    work.score()
    assert all(row["is_anomaly"] for row in work.rows().values())


@pytest.mark.parametrize("of", [1, 3, 8])
def test_shards_score_what_one_run_scores_and_the_last_one_leaves_nothing_to_do(tmp_path, of):
    devices = [f"d{n:02d}" for n in range(20)]
    sharded, whole = Workspace(tmp_path / "sharded", devices), Workspace(tmp_path / "whole", devices)
    for work in (sharded, whole):
        work.put(np.linspace(-2, 2, 60)[:, None])
        work.champion(devices[:15])
    counts = []
    for part in range(1, of + 1):
        sharded.score(shard=f"{part}/{of}")
        counts.append(sharded.predictions.table().num_rows)
    whole.score()
    assert counts == sorted(counts)
    assert counts[0] < counts[-1] or of == 1
    assert sharded.predictions.table().equals(whole.predictions.table())
    assert sharded.status.table().equals(whole.status.table())
    assert sharded.score() == []
    assert sharded.score(shard=f"1/{of}") == []


def test_a_shard_looks_again_at_a_partition_with_windows_of_its_own(tmp_path):
    work = Workspace(tmp_path, [f"d{n}" for n in range(9)])
    work.put(np.zeros((18, 1)))
    work.champion()
    for part in (1, 2):
        work.score(shard=f"{part}/2")
    work.put(np.full((18, 1), 3.0))
    assert work.score(shard="1/2") == [KEY]
    assert work.score(shard="2/2") == [KEY]
    assert all(row["is_anomaly"] for row in work.rows().values())


def test_the_prediction_of_a_window_that_is_no_more_goes(tmp_path):
    work = Workspace(tmp_path)
    work.put(np.zeros((4, 1)))
    work.champion()
    work.score()
    work.put(np.zeros((2, 1)))
    work.score()
    assert set(work.rows()) == {("a", 0), ("b", 0)}


@pytest.mark.parametrize("saved", [0, 1])
def test_a_run_killed_between_its_files_ends_the_same_when_repeated(tmp_path, saved):
    undisturbed, killed = Workspace(tmp_path / "1"), Workspace(tmp_path / "2")
    for work in (undisturbed, killed):
        work.put(np.zeros((10, 1)))
        work.champion()
        work.score()
        work.put(np.full((10, 1), 3.0))
    killed.score(save=saved)
    for work in (undisturbed, killed):
        work.score()
    for name in ("predictions", "status"):
        for key, load in getattr(undisturbed, name).load().items():
            there = getattr(killed, name).load()[key]()
            assert there.read().equals(load().read())
            assert there.metadata.metadata == load().metadata.metadata


@pytest.mark.slow
@given(st.lists(st.tuples(st.integers(0, 5), st.floats(-3, 3)), min_size=1, max_size=8))
def test_whatever_changes_the_predictions_are_those_of_the_windows(tmp_path_factory, changes):
    work = Workspace(tmp_path_factory.mktemp("work"))
    work.champion()
    X = np.zeros((6, 1))
    for row, value in changes:
        X[row] = value
        windows = work.put(X)
        work.score()
    expected, _ = score_fleet(windows, make_model(["a", "b"]), "1")
    assert work.predictions.table().equals(expected)


def test_lost_predictions_are_made_again(tmp_path):
    work = Workspace(tmp_path)
    work.put(np.zeros((4, 1)))
    work.champion()
    work.score()
    (tmp_path / "p" / f"{KEY}.parquet").unlink()
    assert work.score() == [KEY]
    assert len(work.rows()) == 4


def test_without_a_model_the_status_is_written_and_the_counts_say_what_the_run_fell_short_of(tmp_path):
    work = Workspace(tmp_path)
    work.put(np.zeros((4, 1)))
    work.score()
    assert work.status.table()["status"].to_pylist() == ["no_model", "no_model"]
    (shortfall,) = work.counts["shortfalls"]
    assert "2 of 2" in shortfall
    assert "2 no_model" in shortfall
    work.score(max_failed_share=1.0)
    assert work.counts["shortfalls"] == []


def test_one_bad_device_among_many_is_no_reason_to_fail(tmp_path):
    work = Workspace(tmp_path, devices=("a", "b", "c"))
    work.put(np.array([[0.0], [np.nan], [0.0]]))
    work.champion()
    work.score()
    assert work.status.table()["status"].to_pylist() == ["ok", "bad_features", "ok"]


def test_predictions_tell_by_a_digest_whether_incidents_may_have_changed(tmp_path):
    work = Workspace(tmp_path)
    X = np.zeros((10, 1))
    X[2] = 2.0
    work.put(X)
    work.champion()
    work.score()
    digests = [footer_text(work.predictions.load()[KEY](), "digest")]
    for row, value in [(2, 3.0), (4, 0.1)]:
        X[row] = value
        work.put(X)
        work.score()
        digests.append(footer_text(work.predictions.load()[KEY](), "digest"))
    assert len(set(digests)) == 3
    assert all(len(digest) == 64 for digest in digests)


def test_predictions_of_a_version_without_a_digest_are_written_again_as_they_are(tmp_path):
    work = Workspace(tmp_path)
    work.put(np.zeros((4, 1)))
    work.champion()
    work.score()
    before = work.predictions.table()
    work.predictions.save({KEY: before.replace_schema_metadata()})
    work.champion(version="2")
    assert work.score() == [KEY]
    assert work.predictions.table().equals(before)
    assert footer_text(work.predictions.load()[KEY](), "digest")
    assert work.score() == []


def test_ids_that_do_not_exist_are_errors(tmp_path):
    work = Workspace(tmp_path)
    work.put(np.zeros((2, 1)))
    work.champion()
    with pytest.raises(InputError, match="sensor 'u'"):
        work.score(sensor="u")
    with pytest.raises(InputError, match="device 'c'"):
        work.score(device="c")
    assert work.score(sensor="s", device=["a", "b"]) == [KEY]


def test_without_windows_the_step_before_is_named(tmp_path):
    with pytest.raises(InputError, match="--pipelines=aggregate"):
        Workspace(tmp_path).score()


def test_a_prediction_is_there_once_for_each_window(tmp_path):
    work = Workspace(tmp_path)
    work.put(np.zeros((10, 1)))
    work.champion()
    for at in ("2026-01-05T00:10Z", "2026-01-05T00:10Z", "2026-01-06T00:00Z"):
        work.score(at=at)
    table = work.predictions.table()
    assert table.group_by(["device", "window_start"]).aggregate([]).num_rows == table.num_rows == 10
    assert isinstance(table, pa.Table)


def test_a_bad_window_is_told_though_there_are_as_many_predictions_as_windows(tmp_path):
    work = Workspace(tmp_path, devices=("a",))
    work.put(np.zeros((3, 1)))
    work.champion()
    work.score()
    work.put(np.array([[np.nan], [0.0], [0.0]]))
    # As of an earlier hour: the prediction of the third window stands, and the first window has none.
    work.score(at="2026-01-05T00:10Z", max_failed_share=1.0)
    assert set(work.rows()) == {("a", 1), ("a", 2)}
    assert work.status.table()["status"].to_pylist() == ["bad_features"]
