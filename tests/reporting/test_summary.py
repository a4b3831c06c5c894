from datetime import timedelta

import pyarrow as pa
import pytest

from batch_scoring.reporting.summary import summarise, write_summary
from tests.reporting.fleet_factory import (
    START,
    Fleet,
    fault_rows,
    fleet_of,
    gather,
    make_fleet,
    prediction_rows,
    quarantine_rows,
    status_rows,
)

pytestmark = pytest.mark.slow


def summary_of(fleet: Fleet) -> dict:
    return summarise(gather(fleet), "there")


def small_fleet(**tables) -> Fleet:
    rows = [prediction_rows("a", values=[1] * 4, anomalies=[2]), prediction_rows("b", values=[1] * 4)]
    return fleet_of(*rows, **tables)


def test_the_counts_are_those_of_the_tables():
    told = summary_of(small_fleet(quarantine=quarantine_rows("duplicate", "missing", "duplicate")))

    assert told["windows"]["scored"] == 8
    assert told["models"] == 2
    worst = {"device": "a", "windows": 1, "sensor": "vibration"}
    assert told["anomalies"] == {"windows": 1, "share": 0.125, "devices": 1, "worst": worst}
    assert told["quarantined"] == {"total": 3, "by_reason": {"duplicate": 2, "missing": 1}}
    assert (told["start"], told["end"]) == ("2026-01-05T00:00:00+00:00", "2026-01-05T00:20:00+00:00")


def test_the_text_names_what_a_person_asks_for():
    text = write_summary(summary_of(small_fleet(quarantine=quarantine_rows("duplicate"))))

    assert "2 devices, 1 sensor, 2026-01-05 00:00 to 2026-01-05 00:20 UTC" in text
    assert "1  window (12.50%) on 1 of 2 devices" in text
    assert "1 duplicate" in text
    assert "there/08_reporting/report.html" in text
    assert "make viz DATA=there" in text
    assert "make watch DATA=there" in text
    # The environment is not activated after `make run`.
    assert "kedro " not in text
    assert "Known faults" not in text


def test_the_page_of_a_container_is_served_and_no_file_to_open():
    text = write_summary({**summary_of(small_fleet()), "data": "abfs://plant"})

    assert "make watch DATA=abfs://plant" in text
    assert "report.html" not in text


def test_the_first_series_without_scores_are_named_and_the_others_counted():
    rows = [(f"d{i}", "p", "train", "too_few_readings", 3, 0, "3 windows") for i in range(9)]
    text = write_summary(summary_of(small_fleet(train_status=status_rows(*rows))))

    assert "9  of 11 series" in text
    assert "d0 p  too_few_readings  3 windows" in text
    assert "d3 p" not in text
    assert "and 6 more; in total 9 too_few_readings" in text


def test_models_with_a_note_on_their_training_are_counted_by_kind():
    notes = (
        "warming up: trained on 2 d",
        "warming up: trained on 2 d; no weekend: none",
        "trained on 60 windows",
    )
    rows = [
        (device, "vibration", "train", "ok", 3, 0, note) for device, note in zip("abc", notes, strict=True)
    ]
    told = summary_of(small_fleet(train_status=status_rows(*rows)))
    assert told["training_notes"] == {"models": 2, "by_kind": {"warming up": 2, "no weekend": 1}}
    assert "2  models with a note: 2 warming up, 1 no weekend; see the status table" in write_summary(told)
    assert "Trained on" not in write_summary(summary_of(small_fleet()))


def test_open_incidents_are_counted_and_the_first_of_the_list_is_named():
    told = summary_of(fleet_of(prediction_rows("a", anomalies=[1, 2]), prediction_rows("b", anomalies=[1])))

    assert [told["incidents"][name] for name in ("devices", "open", "silent", "outliers")] == [1, 1, 0, 1]
    assert [one["device"] for one in told["incidents"]["first"]] == ["a"]
    text = write_summary(told)
    assert "1  device incident, 1 open; 1 outlier reading\n" in text
    assert "    1. low       1.0  a, vibration, OPEN since 2026-01-05 00:05\n" in text
    assert "       level (mean) 2, expected −1 to 1\n" in text


def test_what_is_open_is_named_before_what_stands_above_it():
    rows = [
        prediction_rows(name, values=[1] * 60, anomalies=[*range(at, at + 20)], severity=99.0)
        for name, at in (("a", 0), ("b", 30))
    ]
    told = summary_of(fleet_of(*rows, prediction_rows("mild", values=[1] * 60, anomalies=[58, 59])))

    first = [(one["device"], one["rank"], one["state"]) for one in told["incidents"]["first"]]
    assert first == [("b", 1, "open"), ("mild", 3, "open"), ("a", 2, "closed")]


def test_incidents_of_young_models_are_counted_and_marked():
    told = summary_of(fleet_of(prediction_rows("a", anomalies=[1, 2], young=True)))

    assert (told["incidents"]["devices"], told["incidents"]["warming_up"]) == (1, 1)
    text = write_summary(told)
    assert "1  device incident, 1 open, 1 of models that are warming up\n" in text
    assert "a, vibration, OPEN since 2026-01-05 00:05, warming up\n" in text


def test_incidents_that_nobody_looked_for_are_not_told_as_none():
    told = summary_of(small_fleet(has_incidents=False))

    assert told["incidents"] is None
    text = write_summary(told)
    assert "Incidents" not in text
    assert "worst: device a, 1 window, most on sensor vibration" in text


def test_known_faults_are_told_by_kind_with_the_false_alarms():
    labels = fault_rows(("a", "vibration", "spike", START, START + timedelta(minutes=5)))
    told = summary_of(small_fleet(faults=labels))

    assert told["known_faults"]["by_kind"] == {"spike": {"found": 0, "total": 1}}
    assert told["known_faults"]["false_alarms"] == 1
    assert "spike 0 of 1" in write_summary(told)


def test_history_before_the_range_is_told():
    rows = [prediction_rows("a", start=START + timedelta(days=days)) for days in (0, 20)]
    told = summary_of(fleet_of(*rows))

    assert (told["history_start"], told["windows"]["scored"]) == ("2026-01-05T00:00:00+00:00", 3)
    assert "History                     since 2026-01-05; this report covers" in write_summary(told)
    assert "History" not in write_summary(summary_of(small_fleet()))


def test_a_summary_of_nothing_says_so():
    text = write_summary(summary_of(Fleet()))

    assert text.startswith("Fleet report: nothing has been scored yet\n")
    assert "Windows                  0" in text


def test_the_text_stays_within_30_lines_of_110_characters_whatever_the_fleet():
    fleet = make_fleet(
        12, 2, sensors=[f"sensor-{i}-{'x' * 60}" for i in range(8)], names=["d" * 150, "\x1b[2Jred"]
    )
    rows = [(f"d{i}" * 30, "p", "train", f"status{i}", 3, 0, "m" * 500) for i in range(30)]
    fleet.train_status = pa.concat_tables([fleet.train_status, status_rows(*rows)])
    fleet.quarantine = quarantine_rows(*(f"reason {i}" for i in range(40)))
    kinds = [(fleet.predictions["sensor"][0].as_py(), f"kind {i}") for i in range(40)]
    fleet.faults = fault_rows(
        *(("pump-03", sensor, kind, START, START + timedelta(hours=1)) for sensor, kind in kinds)
    )
    told = summary_of(fleet)
    lines = write_summary(told).splitlines()

    assert told["known_faults"]["total"] == 40
    assert len(lines) <= 30
    assert max(map(len, lines)) <= 110


def test_control_characters_of_an_id_do_not_reach_the_terminal():
    told = summary_of(fleet_of(prediction_rows("\x1b[2J\nred", anomalies=[1, 2])))
    told["incidents"]["first"][0]["advice"] = "\x1b[2J"
    text = write_summary(told)

    assert "\x1b" not in text
    assert r"; \x1b" in text
    assert r"low       1.0  \x1b[2J\nred, vibration, OPEN" in text


def test_alarms_are_held_against_the_budget():
    rows = prediction_rows("a", values=[1] * 2016, anomalies=[5, 6, 900])
    told = summary_of(fleet_of(rows))

    # The threshold of the made-up predictions is −0.1: 79 % of a week's windows of five minutes.
    assert told["alarms"] == {
        "per_sensor_week": pytest.approx(2),
        "budget_per_sensor_week": pytest.approx(2016 * 10**-0.1),
    }
    text = write_summary(told)
    assert "2.00 alarms a sensor-week, true ones among them; the budget of false ones is" in text
    assert summary_of(Fleet())["alarms"] is None
