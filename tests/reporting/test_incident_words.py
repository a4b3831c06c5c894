from datetime import UTC, datetime, timedelta

import pytest

from batch_scoring.reporting.incident_words import brief, lead_words, listed_words

NOON = datetime(2026, 3, 30, 12, tzinfo=UTC)
ROW = {
    "kind": "anomaly",
    "device": "pump-1",
    "start": NOON,
    "end": NOON + timedelta(hours=3),
    "last_start": NOON,
    "state": "closed",
    "level": "high",
    "priority": 8.0,
    "n_devices": 1,
    "sensors": ["power"],
    "n_sensors": 1,
    "peak_sensor": "power",
    "top_feature": "diff_mean",
    "top_value": -1.5,
    "expected": 0.0,
    "lower": -0.3,
    "upper": 0.3,
    "warming_up": False,
    "advice": "",
}
RENAMED = "may be renamed to b: if so, add a line to devices.csv with id b and replaces a"
NEWS = "power: the level steps by −49453. sends nothing since 2026-03-30 06:00 UTC"
SILENT = {"kind": "device_silent", "top_feature": "", "top_value": None}


@pytest.mark.parametrize(
    ("other", "lines"),
    [
        (
            {},
            [
                "    7. high      8.0  pump-1, power, over: 2026-03-30 12:00 to 15:00",
                "       step (diff_mean) −1.5, expected −0.3 to 0.3",
            ],
        ),
        (
            {"state": "open", "n_sensors": 2, "advice": NEWS},
            [
                "    7. high      8.0  pump-1, 2 sensors, OPEN since 2026-03-30 12:00",
                "       power, step (diff_mean) −1.5, expected −0.3 to 0.3; "
                "power: the level steps by −49453; …",
            ],
        ),
        (
            {"kind": "fleet_event", "device": "", "n_devices": 4, "end": NOON + timedelta(hours=13)},
            [
                "    7. high      8.0  4 devices at once, power, over: 2026-03-30 12:00 to 2026-03-31 01:00",
                "       step (diff_mean) −1.5, expected −0.3 to 0.3",
            ],
        ),
        (
            {**SILENT, "state": "open", "n_sensors": 6, "advice": f"{RENAMED}. {NEWS}"},
            [
                "    7. high      8.0  pump-1: silent for 3 h, OPEN since 2026-03-30 12:00",
                f"       {RENAMED}; …",
            ],
        ),
        (
            {**SILENT, "kind": "sensor_silent"},
            [
                "    7. high      8.0  pump-1, power: silent for 3 h, over: 2026-03-30 12:00 to 15:00",
                "       longer than the gaps it had before",
            ],
        ),
    ],
)
def test_two_lines_say_what_where_since_when_how_bad_and_what_was_expected(other, lines):
    assert brief(7, ROW | other, 110) == lines


def test_long_names_and_advice_stay_on_their_lines_and_what_counts_is_there():
    row = ROW | {"device": "d" * 150, "sensors": ["s" * 60], "advice": "a" * 200, "state": "open"}
    head, reason = brief(1, row, 110)

    assert max(len(head), len(reason)) <= 110
    assert f"  {'d' * 35}…, sss" in head
    assert head.endswith("…, OPEN since 2026-03-30 12:00")
    assert reason == "       step (diff_mean) −1.5, expected −0.3 to 0.3; …"


def test_a_long_name_of_the_sensor_that_leads_leaves_room_for_what_was_expected():
    row = ROW | {"n_sensors": 2, "sensors": ["s" * 120, "t"], "peak_sensor": "s" * 120}
    assert brief(1, row, 110)[1] == f"       {'s' * 35}…, step (diff_mean) −1.5, expected −0.3 to 0.3"


def test_what_leads_names_its_sensor_where_there_are_several():
    assert lead_words(ROW | {"n_sensors": 2}).startswith("power, step (diff_mean) −1.5")
    assert lead_words(ROW | {"top_feature": "own_idea"}).startswith("own idea −1.5")


@pytest.mark.parametrize(
    ("kind", "is_over", "listed_as", "words"),
    [
        ("anomaly", False, 24.0, "open: listed as 24"),
        ("fleet_event", True, 4.0, "over, counts as one of its devices: listed as 4.0"),
        ("anomaly", True, 2.0, "over for long: listed as 2.0"),
        ("fleet_event", True, 8.0, ""),
    ],
)
def test_a_place_that_the_priority_does_not_explain_is_explained(kind, is_over, listed_as, words):
    assert listed_words(ROW | {"kind": kind}, is_over, listed_as) == words
