"""Evaluate a scored fleet with known faults against figures worked out by hand."""

import json

import pyarrow.compute as pc
import pytest
from kedro.io import DataCatalog, MemoryDataset
from kedro.runner import SequentialRunner

from batch_scoring.core.errors import InputError
from batch_scoring.datasets.byte_files import PngFolder
from batch_scoring.evaluation.summary import write_headline
from batch_scoring.operations.annotations import Annotations
from batch_scoring.pipelines.evaluate.pipeline import TABLES, create_pipeline
from tests.evaluation.small_fleet import (
    SmallFleet,
    evaluate,
    feedback,
    figure,
    hour,
    labels,
    parquet,
)

pytestmark = pytest.mark.slow

HOURS = 3600.0


def test_only_windows_after_the_training_are_evaluated(tmp_path):
    found = evaluate(SmallFleet(tmp_path), labels(("a", "s", 3, 5), ("a", "s", -3, -1)))
    judged = found.metrics["judged"]
    assert (judged["from"], judged["to"]) == (hour(0).isoformat(), hour(24).isoformat())
    assert (judged["windows"], judged["windows_seen_in_training"]) == (48, 0)
    assert (judged["events"], judged["events_outside_range"]) == (1, 1)


def test_the_range_can_be_named_and_windows_of_the_training_are_counted(tmp_path, caplog):
    fleet, known = SmallFleet(tmp_path), labels(("a", "s", 3, 5))
    found = evaluate(fleet, known, **{"from": hour(-2).isoformat(), "to": hour(4).isoformat()})
    judged = found.metrics["judged"]
    assert (judged["windows"], judged["windows_seen_in_training"]) == (8, 4)
    assert judged["anomalies_seen_in_training"] == 0
    assert "4 windows of the range were trained on and are left out" in caplog.text
    with pytest.raises(InputError, match="all 4 scored windows of the range were trained on"):
        evaluate(fleet, known, **{"from": hour(-2).isoformat(), "to": hour(0).isoformat()})


def test_windows_of_several_versions_are_new_where_their_own_version_was_not_trained_on_them(tmp_path):
    fleet = SmallFleet(tmp_path, faults={("a", "s"): [3]}, former_to=hour(-12), former_scored_to=hour(-4))
    found = evaluate(fleet, labels(("a", "s", 3, 5), ("a", "s", -10, -9), ("b", "s", -3, -1)))
    judged = found.metrics["judged"]
    # The former version scored 8 hours that were new to it, the champion 4 of its own training.
    assert judged["from"] == hour(-12).isoformat()
    assert (judged["windows"], judged["windows_seen_in_training"]) == (2 * (8 + 24), 2 * 4)
    assert (judged["events"], judged["events_outside_range"]) == (2, 1)
    assert figure(found, "events_found") == 1


def test_a_version_that_is_not_published_any_more_is_named(tmp_path, caplog):
    fleet = SmallFleet(tmp_path, former_to=hour(-12), former_scored_to=hour(-4))
    inputs = fleet.inputs()
    for pinned in tmp_path.glob("s/*-0-*.json"):
        pinned.unlink()
    fleet.inputs = lambda: inputs
    found = evaluate(fleet, labels(("a", "s", 3, 5)))
    assert found.metrics["judged"]["windows"] == 48
    assert "version '0' is not published any more" in caplog.text


def test_the_budget_is_what_the_models_say_of_themselves(tmp_path):
    fleet = SmallFleet(tmp_path, faults={("a", "s"): [3, 9, 10]}, detector="combined")
    found = evaluate(fleet, labels(("a", "s", 3, 5)))
    # Not the 0.05 of `train`, which may have changed since.
    assert found.metrics["budget"]["false_alarm_rate"] == pytest.approx(1e-10)
    assert figure(found, "realised_over_target") == pytest.approx(2 / 46 / 1e-10)
    asked = evaluate(fleet, labels(("a", "s", 3, 5)), false_alarm_rate=0.01)
    assert figure(asked, "realised_over_target") == pytest.approx(2 / 46 / 0.01)


def test_figures_are_told_by_series_by_device_by_sensor_and_over_the_fleet(tmp_path):
    fleet = SmallFleet(tmp_path, sensors=("p", "s"), faults={("a", "s"): [3, 4, 9], ("b", "p"): [7]})
    found = evaluate(fleet, labels(("a", "s", 3, 5), ("b", "p", 20, 21), ("a", "p", 20, 21)))
    assert figure(found, "event_recall") == pytest.approx(1 / 3)
    assert figure(found, "event_recall", "sensor") == {("p",): 0, ("s",): 1}
    assert figure(found, "event_recall", "device") == {("a",): 0.5, ("b",): 0}
    assert figure(found, "event_recall", "series") == {
        ("a", "p"): 0,
        ("b", "p"): 0,
        ("a", "s"): 1,
        ("b", "s"): None,
    }
    assert figure(found, "alert_precision") == pytest.approx(1 / 3)
    assert figure(found, "roc_auc", "series")["a", "s"] > 0.95
    assert figure(found, "roc_auc", "series")["b", "s"] is None
    assert figure(found, "device_event_recall") == pytest.approx(1 / 3)
    assert figure(found, "ranked_devices") == 2


def test_false_alarms_are_held_against_the_budget_of_train(tmp_path):
    fleet = SmallFleet(tmp_path, faults={("a", "s"): [3, 9, 10]})
    found = evaluate(fleet, labels(("a", "s", 3, 5)))
    weekly = pytest.approx(0.05 * 168)
    assert found.metrics["budget"] == {
        "false_alarm_rate": pytest.approx(0.05),
        "false_windows_per_sensor_week": weekly,
    }
    assert figure(found, "false_alarm_rate") == pytest.approx(2 / 46)
    assert figure(found, "realised_over_target") == pytest.approx(2 / 46 / 0.05)
    assert figure(found, "false_windows_per_sensor_week") == pytest.approx(2 / 46 * 168)
    assert figure(found, "false_alerts_per_sensor_week") == pytest.approx(1 / 46 * 168)
    assert evaluate(fleet, labels(("a", "s", 3, 5)), false_alarm_rate=0.01).metrics["budget"] == {
        "false_alarm_rate": pytest.approx(0.01),
        "false_windows_per_sensor_week": pytest.approx(1.68),
    }


def test_recall_is_compared_at_a_fixed_number_of_false_alerts(tmp_path):
    fleet = SmallFleet(tmp_path, faults={("a", "s"): [3], ("b", "s"): [9]})
    found = evaluate(fleet, labels(("a", "s", 3, 5), ("b", "s", 20, 21)))
    recall = found.metrics["recall_at"]["fleet_models"]
    # 46 normal hours are a quarter of a week: one false alert is too many.
    assert recall == {"0.25": 0, "1": 0}
    quiet = evaluate(SmallFleet(tmp_path, faults={("a", "s"): [3]}), labels(("a", "s", 3, 5)))
    assert quiet.metrics["recall_at"]["fleet_models"] == {"0.25": 1, "1": 1}
    alerts, share = quiet.sweep["fleet_models"]
    assert share[alerts <= 0.25].max() == 1


def test_the_headline_counts_and_names_the_place_of_the_report(tmp_path):
    fleet = SmallFleet(tmp_path, faults={("a", "s"): [3, 9]})
    headline = write_headline(evaluate(fleet, labels(("a", "s", 3, 5), ("b", "s", 3, 5))), "data/here/")
    assert "48 windows that are new to the models: 1 of 2 events found, 1 of 2 alerts right" in headline
    assert "data/here/08_reporting/evaluation/evaluation.md" in headline


def test_the_delay_is_told_in_quantiles_and_event_by_event(tmp_path):
    fleet = SmallFleet(tmp_path, faults={("a", "s"): [3, 12], ("b", "s"): [1]})
    found = evaluate(
        fleet, labels(("a", "s", 3, 5), ("a", "s", 10, 14), ("b", "s", -5, 4), ("b", "s", 20, 21))
    )
    assert figure(found, "delay_median_seconds") == 2 * HOURS
    assert figure(found, "delay_p90_seconds") == pytest.approx(2.8 * HOURS)
    mine = found.events.filter(pc.equal(found.events["method"], "fleet_models")).to_pylist()
    told = [(row["device"], row["is_found"], row["delay_seconds"]) for row in mine]
    # What began before the judged range could be noticed from its start on.
    expected = [("a", True, HOURS), ("a", True, 3 * HOURS), ("b", True, 2 * HOURS), ("b", False, None)]
    assert told == expected


def test_events_are_counted_by_kind_and_silence_is_told_apart(tmp_path):
    fleet = SmallFleet(tmp_path, faults={("a", "s"): [3]}, silent={("b", "s"): [8, 9, 10]})
    found = evaluate(
        fleet, labels(("a", "s", 3, 5, "spike"), ("b", "s", 8, 11, "dropout"), ("b", "s", 20, 21))
    )
    kinds = {row["kind"]: row for row in found.metrics["kinds"] if row["method"] == "fleet_models"}
    assert kinds.keys() == {"spike", "dropout"}
    assert (kinds["spike"]["events_found"], kinds["spike"]["windows"]) == (1, 2)
    assert (kinds["dropout"]["events_found"], kinds["dropout"]["event_recall"]) == (0, 0)
    assert (kinds["dropout"]["windows"], kinds["dropout"]["windows_missing"]) == (0, 3)
    assert figure(found, "events_without_windows") == 1
    assert figure(found, "event_recall") == pytest.approx(1 / 3)


def test_a_sensor_without_predictions_counts_its_events_as_missed(tmp_path):
    fleet = SmallFleet(tmp_path, sensors=("p", "s"), faults={("a", "s"): [3]}, unpredicted=frozenset("p"))
    found = evaluate(fleet, labels(("a", "s", 3, 5), ("a", "p", 3, 5)))
    assert figure(found, "event_recall", "sensor") == {("p",): 0, ("s",): 1}
    assert found.metrics["judged"]["windows_without_prediction"] == 48
    assert figure(found, "window_recall") == pytest.approx(1 / 4)
    # And for the baselines as well, which are judged on the same windows.
    assert figure(found, "events_found", method="robust_z") == figure(found, "events_found")


def test_a_device_without_a_model_is_evaluated_from_where_the_others_are(tmp_path):
    fleet = SmallFleet(tmp_path, faults={("a", "s"): [3]}, without_model=frozenset("b"))
    found = evaluate(fleet, labels(("a", "s", 3, 5), ("b", "s", 3, 5), ("b", "s", -3, -1)))
    assert figure(found, "events", "device") == {("a",): 1, ("b",): 1}
    assert figure(found, "windows_without_prediction", "device") == {("a",): 0, ("b",): 24}
    assert figure(found, "event_recall") == 0.5


def test_models_that_do_not_say_what_they_learned_from_need_a_range_to_judge(tmp_path):
    fleet, known = SmallFleet(tmp_path, faults={("a", "s"): [3]}, trained_to=None), labels(("a", "s", 3, 5))
    with pytest.raises(InputError, match=r"evaluate\.from"):
        evaluate(fleet, known)
    found = evaluate(fleet, known, **{"from": hour(0).isoformat()})
    # The robust z-score learned from what lies before.
    assert figure(found, "events_found", method="robust_z") == figure(found, "events_found") == 1
    assert found.metrics["judged"]["windows_seen_in_training"] == 0


def test_a_false_alarm_that_a_person_found_makes_a_labelled_window_normal(tmp_path):
    fleet, known = (
        SmallFleet(tmp_path, faults={("a", "s"): [3, 9]}),
        labels(("a", "s", 3, 5), ("a", "s", 9, 10)),
    )
    assert figure(evaluate(fleet, known), "alert_precision") == 1
    told = feedback(("a", "s", 9, 10, "false_alarm"), ("b", "s", 0, 1, "true_event"))
    found = evaluate(fleet, known, told)
    assert figure(found, "alert_precision") == 0.5
    assert figure(found, "event_recall") == 0.5
    assert figure(found, "events") == 2


def test_labels_of_devices_and_sensors_without_windows_count_nowhere_and_are_told(tmp_path, caplog):
    found = evaluate(SmallFleet(tmp_path), labels(("a", "s", 3, 5), ("zz", "s", 3, 5), ("a", "q", 3, 5)))
    assert figure(found, "events") == 1
    assert found.metrics["judged"]["events_of_unknown_series"] == 2
    assert "2 labels are of devices and sensors without windows, first 'zz', 's'" in caplog.text


def test_labels_of_which_none_names_a_series_are_an_error_that_shows_how_it_is_named(tmp_path):
    with pytest.raises(InputError, match=r"'zz', '\*'; expected ids of the readings, such as 'a', 's'$"):
        evaluate(SmallFleet(tmp_path), labels(("Pump A", "q", 3, 5), ("zz", "*", 3, 5)))


def test_a_label_of_all_sensors_is_an_event_of_each_sensor_that_the_device_has(tmp_path, caplog):
    gone = {("b", "p"): list(range(-24, 24))}
    fleet = SmallFleet(tmp_path, sensors=("p", "s"), faults={("a", "s"): [3]}, silent=gone)
    found = evaluate(fleet, labels(("a", "*", 3, 5), ("b", "*", 7, 8), ("zz", "*", 3, 5)))
    assert figure(found, "events", "series") == {("a", "p"): 1, ("a", "s"): 1, ("b", "s"): 1}
    assert figure(found, "events_found") == 1
    assert figure(found, "device_events", "device") == {("a",): 1, ("b",): 1}
    assert figure(found, "device_events_found", "device") == {("a",): 1, ("b",): 0}
    assert found.metrics["judged"]["events_of_unknown_series"] == 1
    assert "1 label is of a device and sensor without windows, first 'zz', '*'" in caplog.text


def test_one_device_is_evaluated_alone(tmp_path):
    fleet = SmallFleet(tmp_path, faults={("a", "s"): [3], ("b", "s"): [4]})
    found = evaluate(fleet, labels(("a", "s", 3, 5), ("b", "s", 3, 5)), device="b")
    assert figure(found, "events", "device") == {("b",): 1}
    with pytest.raises(InputError, match="device 'c' is not among the 0 known"):
        evaluate(fleet, labels(("a", "s", 3, 5)), device="c")
    with pytest.raises(InputError, match="sensor 't' is not among the 1 known"):
        evaluate(fleet, labels(("a", "s", 3, 5)), sensor="t")


def test_where_nothing_can_be_evaluated_it_says_so(tmp_path):
    known = labels(("a", "s", 3, 5))
    with pytest.raises(InputError, match="no model records its training range"):
        evaluate(SmallFleet(tmp_path, unpredicted=frozenset("s")), known)
    with pytest.raises(InputError, match="no window after the models' training ranges has a prediction"):
        evaluate(SmallFleet(tmp_path), known, to=hour(-1).isoformat())


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"baselines": ["robustz"]}, "evaluate.baselines 'robustz' is not among .* did you mean 'robust_z'"),
        (
            {"false_alarm_rate": 2.0},
            "evaluate.false_alarm_rate: 2.0 is not valid; expected a number between 0 and 1",
        ),
        ({"bootstrap": -1}, "evaluate.bootstrap: -1 is not valid"),
    ],
)
def test_a_setting_that_makes_no_sense_is_refused(tmp_path, settings, says):
    with pytest.raises(InputError, match=says):
        evaluate(SmallFleet(tmp_path), labels(("a", "s", 3, 5)), **settings)


def run(fleet, known, **settings):
    inputs = fleet.inputs() | {
        "annotations": Annotations({"labels": known, "fault_labels": parquet(known)}),
    }
    inputs |= {"params:evaluate": settings, "params:train": {}}
    inputs |= {"params:device": None, "params:sensor": None, "params:judged": None}
    datasets = {name: MemoryDataset(data, copy_mode="assign") for name, data in inputs.items()}
    drawings = PngFolder(str(fleet.folder / "drawings"))
    datasets |= {"evaluation": MemoryDataset(copy_mode="assign"), "evaluation_drawings": drawings}
    outputs = SequentialRunner().run(create_pipeline(), DataCatalog(datasets))
    return {name: dataset.load() for name, dataset in outputs.items()} | {"drawings": drawings.load()}


def test_the_pipeline_writes_tables_a_page_drawings_and_a_run_the_same_each_time(tmp_path):
    fleet = SmallFleet(tmp_path, faults={("a", "s"): [3, 9]})
    known = labels(("a", "s", 3, 5, "spike"), ("b", "s", 3, 5, "drift"))
    first, second = (run(fleet, known, bootstrap=20, baselines=["robust_z", "random"]) for _ in range(2))
    assert first.keys() >= {*TABLES, "evaluation_run"}
    assert first["drawings"].keys() == {
        "methods.png",
        "trade_off.png",
        "delay.png",
        "false_alarms.png",
        "series.png",
        "kinds.png",
    }
    assert all(drawing.startswith(b"\x89PNG") for drawing in first["drawings"].values())
    assert json.loads(json.dumps(first["evaluation_metrics"])) == first["evaluation_metrics"]
    assert first["drawings"] == second["drawings"]
    assert first["evaluation_run"] == second["evaluation_run"]
    assert first["evaluation_run"].metrics["fleet_models/event_recall"] == 0.5
    assert first["evaluation_run"].parameters["judged.events"] == "2"
    assert {*first["drawings"], "metrics.json", "evaluation.md"} < first["evaluation_run"].files.keys()


def test_the_page_says_what_was_evaluated_and_what_was_found(tmp_path):
    fleet = SmallFleet(tmp_path, faults={("a", "s"): [3, 9]})
    page = run(fleet, labels(("a", "s", 3, 5, "level_shift"), ("b", "s", 3, 5, "drift")))[
        "evaluation_summary"
    ]
    assert "48 of 2 devices and 1 sensors, 8.3% of them labelled, 0 without a prediction" in page
    rows = [line for line in page.splitlines() if line.startswith("|")]
    # The first table counts where a later one has a row of the same name.
    lines = {line.split(" | ")[0].strip("| "): line for line in reversed(rows)}
    assert lines["events found"].split(" | ")[1].startswith("0.500 [")
    assert lines["level shift"].split(" | ")[1:5] == ["1", "2", "0", "1 (100%)"]
    assert lines["delay of the events found, median"].split(" | ")[1] == "1 h"
