"""Every closed window is scored once; a changed one again; nothing is lost and nothing doubled."""

import json
from datetime import timedelta

import numpy as np
import pytest

from batch_scoring.core.errors import InputError
from batch_scoring.detection.score import predict
from batch_scoring.scoring.marks import read_mark
from tests.factories import START, make_model
from tests.scoring.work import PER_DAY, Work, assert_totals_are_a_count, at, constant, windows_of

pytestmark = pytest.mark.slow

NOT_SCORED = (False, False)


@pytest.fixture
def work(tmp_path):
    """Windows of two devices, and their models."""
    work = Work(tmp_path)
    work.put(constant(0.0))
    work.train()
    return work


def test_predictions_are_those_of_the_models(work):
    windows = {
        ("s", device, step): value for device in "ab" for step, value in enumerate(np.linspace(-2, 2, 9))
    }
    work.put(windows)
    assert work.score() == (True, True)
    model = make_model(["a", "b"])
    model = type(model)(model.table, model.info.__class__("s", ("mean",), 4 * 3600.0, {}))
    expected = predict(windows_of(windows), model, "1")
    order = [("device", "ascending"), ("window_start", "ascending")]
    assert work.predictions.load().read().sort_by(order).to_pylist() == expected.to_pylist()
    assert_totals_are_a_count(work, {})
    assert work.counts["windows"] == 18


def test_a_second_run_commits_nothing_and_nor_does_a_later_one_without_windows_that_closed(work):
    assert work.score(at=at(2)) == (True, True)
    assert work.score(at=at(2)) == NOT_SCORED
    assert work.score(at=(START + timedelta(hours=11)).isoformat()) == NOT_SCORED
    assert work.score(at=at(3)) == (True, True)
    assert work.score(at=at(99)) == (True, True)
    assert work.score(at=at(999)) == NOT_SCORED
    assert len(work.rows()) == 8


def test_a_changed_window_is_scored_again_and_no_other(work):
    work.score()
    before = work.rows()
    work.put({("s", "a", 2): 3.0})
    work.train(version="2")
    assert work.score() == (True, True)
    after = work.rows()
    assert [key for key in after if after[key] != before[key]] == [("s", "a", 2)]
    assert (after["s", "a", 2]["is_anomaly"], after["s", "a", 2]["model_version"]) == (True, "2")
    assert_totals_are_a_count(work, {})


def test_a_late_window_is_scored_and_the_others_stay(work):
    work.put(constant(0.0, steps=range(PER_DAY, PER_DAY + 4)))
    work.score()
    before = work.rows()
    work.put({("s", "a", 4): 3.0, ("s", "b", PER_DAY + 4): 0.0})
    assert work.score() == (True, True)
    after = work.rows()
    assert after.keys() - before.keys() == {("s", "a", 4), ("s", "b", PER_DAY + 4)}
    assert {key: after[key] for key in before} == before
    assert_totals_are_a_count(work, {})
    assert work.score() == NOT_SCORED


def test_a_new_champion_does_not_score_old_windows_again_unless_told(work):
    work.score()
    work.train(version="2")
    assert work.score() == NOT_SCORED
    assert {row["model_version"] for row in work.rows().values()} == {"1"}
    work.score(rescore=True)
    assert {row["model_version"] for row in work.rows().values()} == {"2"}
    assert_totals_are_a_count(work, {})
    assert work.score() == NOT_SCORED


def test_scoring_again_keeps_the_predictions_that_the_champion_cannot_make(work):
    work.score()
    work.train("a", version="2")
    work.score(rescore=True)
    assert {key[1]: row["model_version"] for key, row in work.rows().items()} == {"a": "2", "b": "1"}
    assert_totals_are_a_count(work, {})


def test_windows_of_a_device_without_a_model_are_scored_when_it_has_one(work):
    work.train("a")
    work.put(constant(0.0, "c", [PER_DAY]))
    assert work.score() == (True, True)
    assert {device for _, device, _ in work.rows()} == {"a"}
    lacking = dict.fromkeys([*constant(0, "b"), ("s", "c", PER_DAY)], "no_model")
    assert_totals_are_a_count(work, lacking)
    assert work.score() == NOT_SCORED
    work.train("ab", version="2")
    assert work.score() == (True, True)
    assert {device: row["model_version"] for (_, device, _), row in work.rows().items()} == {
        "a": "1",
        "b": "2",
    }
    assert_totals_are_a_count(work, {("s", "c", PER_DAY): "no_model"})
    assert work.statuses()["s", "b", 0] == {"ok"}
    assert work.score() == NOT_SCORED
    work.train("abc", version="3")
    work.score()
    assert_totals_are_a_count(work, {})
    assert len(work.rows()) == 9


def test_a_sensor_without_any_model_waits_for_one(work):
    work.put(constant(0.0, sensors="t"))
    work.score()
    assert {sensor for sensor, _, _ in work.rows()} == {"s"}
    assert_totals_are_a_count(work, dict.fromkeys(constant(0, sensors="t"), "no_model"))
    assert work.score() == NOT_SCORED
    work.train("ab", "t")
    work.score()
    assert len(work.rows()) == 16
    assert_totals_are_a_count(work, {})


def test_only_closed_windows_are_scored_and_the_rest_later(work):
    work.score(at=at(2))
    assert {step for _, _, step in work.rows()} == {0, 1}
    assert work.score(at=at(3), allowed_lateness="1m") == NOT_SCORED
    work.score(at=at(3))
    assert {step for _, _, step in work.rows()} == {0, 1, 2}
    assert_totals_are_a_count(work, {})


def test_before_any_window_is_closed_nothing_is_committed(work):
    assert work.score(at="2026-01-05T00:01Z") == NOT_SCORED
    assert work.score(at="2026-01-05T00:02Z") == NOT_SCORED


def test_as_of_an_earlier_time_only_what_was_closed_then_is_scored_and_the_rest_later(work):
    work.score(at=at(3))
    work.put({("s", "a", 0): 3.0, ("s", "a", 2): 3.0, ("s", "b", 5): 3.0})
    work.score(at=at(1))
    assert {key for key, row in work.rows().items() if row["is_anomaly"]} == {("s", "a", 0)}
    assert_totals_are_a_count(work)
    work.score()
    anomalies = {key for key, row in work.rows().items() if row["is_anomaly"]}
    assert anomalies == {("s", "a", 0), ("s", "a", 2), ("s", "b", 5)}
    assert len(work.rows()) == 9
    assert_totals_are_a_count(work, {})


def test_a_range_is_half_open_and_the_rest_is_scored_by_the_next_run(work):
    work.score(**{"from": at(1), "to": at(3)})
    assert {step for _, _, step in work.rows()} == {1, 2}
    assert_totals_are_a_count(work)
    assert work.score(**{"from": at(99)}) == NOT_SCORED
    work.score()
    assert {step for _, _, step in work.rows()} == {0, 1, 2, 3}
    assert_totals_are_a_count(work, {})


def test_one_device_alone_leaves_the_others_predictions_as_they_were(work):
    work.score()
    before = work.rows()
    work.put(constant(3.0))
    work.score(device="a")
    after = work.rows()
    assert {key[1] for key in after if after[key] != before[key]} == {"a"}
    assert_totals_are_a_count(work)
    work.score()
    assert all(row["is_anomaly"] for row in work.rows().values())
    assert_totals_are_a_count(work, {})


@pytest.mark.parametrize(
    "asked", [{"device": "a"}, {"device": ["a", "b"]}, {"sensor": "s"}, {"shard": "1/1"}]
)
def test_a_run_for_some_that_is_repeated_commits_nothing(work, asked):
    work.put(constant(0.0, sensors="t"))
    work.train("ab", "t")
    work.score(**asked)
    assert work.score(**asked) == NOT_SCORED
    work.score()
    assert len(work.rows()) == 16
    assert_totals_are_a_count(work, {})
    assert work.score(**asked) == NOT_SCORED


@pytest.mark.parametrize("of", [1, 3, 8])
def test_shards_score_what_one_run_scores_and_the_last_one_leaves_nothing_to_do(tmp_path, of):
    devices = [f"d{n:02d}" for n in range(20)]
    windows = {("s", device, step): step - 1.0 for device in devices for step in range(3)}
    sharded, whole = Work(tmp_path / "sharded"), Work(tmp_path / "whole")
    for work in (sharded, whole):
        work.put(windows)
        work.train([*devices[:15], "silent"])
    counts = []
    for part in range(1, of + 1):
        sharded.score(shard=f"{part}/{of}")
        counts.append(len(sharded.rows()))
        assert_totals_are_a_count(sharded)
    whole.score()
    assert counts == sorted(counts)
    assert counts[0] < counts[-1] or of == 1
    assert sharded.rows() == whole.rows()
    assert sharded.daily() == whole.daily()
    assert sharded.statuses()["s", "silent", 0] == {"no_data"}
    sharded.score()
    assert sharded.score(shard=f"1/{of}") == NOT_SCORED
    assert sharded.rows() == whole.rows()
    assert sharded.daily() == whole.daily()


def test_a_shard_looks_again_at_windows_of_its_own(tmp_path):
    work, devices = Work(tmp_path), [f"d{n}" for n in range(9)]
    work.put({("s", device, 0): 0.0 for device in devices})
    work.train(devices)
    for part in (1, 2):
        work.score(shard=f"{part}/2")
    work.put({("s", device, 0): 3.0 for device in devices})
    for part in (1, 2):
        assert work.score(shard=f"{part}/2") == (True, True)
    assert all(row["is_anomaly"] for row in work.rows().values())
    assert_totals_are_a_count(work, {})


def test_with_other_settings_predictions_of_windows_that_are_gone_go(work):
    work.put({("s", "b", PER_DAY): float("nan"), **constant(0.0, sensors="t")})
    work.train("ab", "t")
    work.score(max_failed_share=1)
    work.aggregate_otherwise({("s", "a", 0): 0.0, ("s", "b", 1): 3.0}, settings=2)
    work.score(device="a")
    assert {key for key in work.rows() if key[1] == "b"} >= set(constant(0, "b")), "of others they stay"
    work.score()
    assert {key: row["is_anomaly"] for key, row in work.rows().items()} == {
        ("s", "a", 0): False,
        ("s", "b", 1): True,
    }
    assert_totals_are_a_count(work, {})
    assert work.score() == NOT_SCORED


@pytest.mark.parametrize("is_overtaken", [False, True])
def test_a_range_of_a_day_leaves_the_days_count_of_windows_without_a_model(tmp_path, is_overtaken):
    work, windows = Work(tmp_path), dict.fromkeys([("s", "b", 0), ("s", "b", 3)], 0.0)
    work.put(windows)

    def score_all() -> None:
        work.score(max_failed_share=1)

    if not is_overtaken:
        score_all()
    meanwhile = score_all if is_overtaken else lambda: None
    work.score(max_failed_share=1, before=1, meanwhile=meanwhile, **{"from": at(3), "to": at(6)})
    assert_totals_are_a_count(work, dict.fromkeys(windows, "no_model"))


@pytest.mark.parametrize("has_models", [True, False])
@pytest.mark.parametrize(
    "asked",
    [{"device": ["a", "b"]}, {"device": "a"}, {"shard": "1/2"}, {"sensor": "s", "rescore": True}],
)
def test_windows_that_went_before_the_first_whole_run_leave_nothing_of_runs_for_some(
    tmp_path, asked, has_models
):
    work = Work(tmp_path)
    if has_models:
        work.train()
    work.put({**constant(0.0, "ab", [0, PER_DAY, 2 * PER_DAY]), ("t", "a", 0): 0.0})
    work.score(max_failed_share=1, **asked)
    work.aggregate_otherwise({("s", "a", 0): 0.0, ("t", "a", 0): 0.0}, settings=2)
    # Of another range: what is known of the first one stays known.
    work.score(max_failed_share=1, **{"from": at(0), "to": at(1)})
    work.score(max_failed_share=1)
    unscored = {("t", "a", 0): "no_model"} | ({} if has_models else {("s", "a", 0): "no_model"})
    assert set(work.rows()) == ({("s", "a", 0)} if has_models else set())
    assert_totals_are_a_count(work, unscored)
    assert work.score(max_failed_share=1) == NOT_SCORED


def test_predictions_of_windows_that_were_removed_for_their_age_stay(work):
    work.score()
    work.aggregate_otherwise({("s", "a", PER_DAY): 0.0, ("s", "a", PER_DAY + 1): 0.0}, settings=2)
    work.score()
    assert len(work.rows()) == 10
    assert_totals_are_a_count(work, {})


@pytest.mark.parametrize("saved", [0, 1])
def test_a_run_killed_between_its_commits_ends_the_same_when_repeated(tmp_path, saved):
    undisturbed, killed = Work(tmp_path / "1"), Work(tmp_path / "2")
    for work in (undisturbed, killed):
        work.put(constant(0.0, "abc", sensors="st"))
        work.train("ab")
        work.train("ab", "t")
        work.score()
        work.put({**constant(3.0, steps=range(2, 9)), **constant(0.0, "c", [4, 5])})
    killed.score(save=saved)
    for work in (undisturbed, killed):
        work.score()
    assert killed.rows() == undisturbed.rows()
    assert killed.daily() == undisturbed.daily()
    assert killed.score() == NOT_SCORED


def test_totals_that_are_lost_are_counted_again(work):
    work.put(constant(0.0, "c", [1, PER_DAY]))
    work.score()
    before = work.daily()
    for path in sorted((work.folder / "totals").rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    work.score()
    found = work.daily()
    assert {key: row for key, row in found.items() if row["status"] != "no_data"} == {
        key: row for key, row in before.items() if row["status"] != "no_data"
    }


def test_without_a_model_the_counts_say_what_the_run_fell_short_of(tmp_path):
    work = Work(tmp_path)
    work.put(constant(0.0))
    work.score()
    assert work.statuses() == {("s", "a", 0): {"no_model"}, ("s", "b", 0): {"no_model"}}
    (shortfall,) = work.counts["shortfalls"]
    assert "2 of 2 device-sensor days" in shortfall
    assert "2 no_model" in shortfall
    work.put(constant(0.0, steps=[4]))
    work.score(max_failed_share=1.0)
    assert work.counts["shortfalls"] == []


def test_one_bad_device_among_many_is_no_reason_to_fail(work):
    work.put({("s", "a", 1): float("nan")})
    work.score()
    assert work.counts["shortfalls"] == []
    assert ("s", "a", 1) not in work.rows()
    assert work.statuses() == {("s", "a", 0): {"ok", "bad_features"}, ("s", "b", 0): {"ok"}}
    assert_totals_are_a_count(work, {("s", "a", 1): "bad_features"})
    work.put({("s", "a", 1): 0.0})
    work.score()
    assert_totals_are_a_count(work, {})


def test_a_window_that_cannot_be_scored_any_more_loses_its_prediction(work):
    work.score()
    work.put({("s", "a", 0): float("nan")})
    work.score()
    assert ("s", "a", 0) not in work.rows()
    assert len(work.rows()) == 7
    assert_totals_are_a_count(work, {("s", "a", 0): "bad_features"})


def damage(work, sensor):
    """Make a sensor's models unreadable; the function returned repairs them."""
    (file,) = (work.folder / "models" / sensor).glob("*.arrow")
    whole = file.read_bytes()
    file.write_bytes(whole[:-200])
    return lambda: file.write_bytes(whole)


def test_a_damaged_model_of_one_sensor_does_not_stop_the_others_and_is_tried_again(work):
    work.put({**constant(0.0, sensors="t"), ("t", "c", 0): 0.0})
    work.train("ab", "t")
    work.score()
    work.put({**constant(0.0, sensors="st", steps=range(4, 9)), ("t", "a", 0): 3.0})
    repair = damage(work, "t")
    work.score()
    assert {key for key in work.rows() if key[2] > 3} == set(constant(0, steps=range(4, 9)))
    (shortfall,) = work.counts["shortfalls"]
    assert "'t'" in shortfall
    assert "damaged" in shortfall
    assert_totals_are_a_count(work, {("t", "c", 0): "no_model"})
    assert work.score() == NOT_SCORED
    assert len(work.counts["shortfalls"]) == 1
    repair()
    work.score()
    assert work.counts["shortfalls"] == []
    assert len(work.rows()) == 36
    assert work.rows()["t", "a", 0]["is_anomaly"]
    assert_totals_are_a_count(work, {("t", "c", 0): "no_model"})
    work.train("abc", "t", version="2")
    work.score()
    assert_totals_are_a_count(work, {})


def test_a_sensor_that_fails_keeps_its_predictions_also_when_windows_are_gone(work):
    work.put(constant(0.0, sensors="t"))
    work.train("ab", "t")
    work.score()
    repair = damage(work, "t")
    work.aggregate_otherwise({("s", "a", 0): 0.0, ("t", "a", 0): 0.0}, settings=2)
    work.score()
    assert set(work.rows()) == {("s", "a", 0), *constant(0, sensors="t")}
    repair()
    work.score()
    assert set(work.rows()) == {("s", "a", 0), ("t", "a", 0)}
    assert_totals_are_a_count(work, {})


def test_models_of_other_windows_fail_in_a_sentence_until_there_are_new_ones(work):
    work.train("ab", "t")
    manifest = work.folder / "models/s/manifest.json"
    assert json.loads(manifest.read_text())["sensor"] == "s"
    work.put(constant(0.0, sensors="t"))
    work.train("ab", "t", features=("mean", "more"))
    work.score()
    (shortfall,) = work.counts["shortfalls"]
    assert "'more'" in shortfall
    assert {sensor for sensor, _, _ in work.rows()} == {"s"}
    work.train("ab", "t", version="2")
    work.score()
    assert len(work.rows()) == 16
    assert_totals_are_a_count(work, {})


def test_ids_that_do_not_exist_are_errors(work):
    with pytest.raises(InputError, match="sensor 'u'"):
        work.score(sensor="u")
    with pytest.raises(InputError, match="device 'c'"):
        work.score(device="c")
    assert work.score(sensor="s", device=["a", "b"]) == (True, True)


def test_without_windows_the_step_before_is_named(tmp_path):
    with pytest.raises(InputError, match="--pipelines=aggregate"):
        Work(tmp_path).score()


def test_a_device_with_a_model_that_falls_silent_has_no_data_on_days_with_windows_of_its_sensor(work):
    work.train("abc", version="2")
    work.score(at=at(4))
    assert work.statuses()["s", "c", 0] == {"no_data"}
    work.put({**constant(0.0, "c", [4]), **constant(0.0, "a", [PER_DAY])})
    work.score()
    assert {key: status for key, status in work.statuses().items() if "no_data" in status} == {
        ("s", "b", 1): {"no_data"},
        ("s", "c", 1): {"no_data"},
    }
    assert work.statuses()["s", "c", 0] == {"ok"}


def test_a_table_of_windows_that_was_made_anew_is_read_anew(work):
    work.score()
    work.put(constant(0.0, steps=[4]))
    work.put(constant(0.0, steps=[5]))
    work.score()
    assert read_mark(work.predictions.load(), work.windows.load(), "s").version == work.windows.load().version
    for path in sorted((work.folder / "windows").rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    anew = constant(3.0, steps=[0, 1, 2, 3, 5, 6])
    work.put(anew)
    work.score()
    assert work.rows().keys() == anew.keys()
    assert all(row["is_anomaly"] for row in work.rows().values())
    assert_totals_are_a_count(work, {})
