"""Labels in any format are the same labels; a slip is told with its place."""

import json
from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from kedro.io.core import DatasetError

from batch_scoring.core.errors import InputError
from batch_scoring.datasets.annotations import LabelFile
from batch_scoring.evaluation.annotations import read_labels
from batch_scoring.tables.schemas import LABELS

TEN = datetime(2026, 1, 5, 10, tzinfo=UTC)
HOUR = timedelta(hours=1)


def written(tmp_path, text, name="labels.csv"):
    (tmp_path / name).write_text(text, encoding="utf-8")
    return tmp_path / name


def rows(path):
    table = read_labels(path)
    assert table.schema == LABELS
    return [tuple(row.values()) for row in table.to_pylist()]


def test_end_is_the_first_moment_after_an_event_and_last_the_last_moment_in_it(tmp_path):
    half_open = written(tmp_path, "device,sensor,start,end\n007,s,2026-01-05 10:00,2026-01-05T12:00+01:00\n")
    assert rows(half_open) == [("007", "s", None, TEN, TEN + HOUR)]
    closed = written(tmp_path, "device,sensor,first,last\n007,s,2026-01-05 10:00,2026-01-05 11:00\n")
    assert rows(closed) == [("007", "s", None, TEN, TEN + HOUR + timedelta(microseconds=1))]


def test_json_lines_and_parquet_are_read_as_csv_is(tmp_path):
    one = {
        "Device": "7",
        "SENSOR": "a,b",
        "kind": "drift",
        "start": "2026-01-05T10:00Z",
        "end": "2026-01-05T11:00Z",
    }
    expected = [("7", "a,b", "drift", TEN, TEN + HOUR)]
    assert rows(written(tmp_path, json.dumps(one | {"Device": 7}) + "\n\n", "labels.jsonl")) == expected
    pq.write_table(
        pa.table({**{k: [v] for k, v in one.items()}, "start": [TEN], "end": [TEN + HOUR]}),
        tmp_path / "l.parquet",
    )
    assert rows(tmp_path / "l.parquet") == expected
    header, line = ",".join(one), '7,"a,b",drift,2026-01-05T10:00Z,2026-01-05T11:00Z'
    assert rows(written(tmp_path, f"{header}\n{line}\n")) == expected


HEADER = "device,sensor,start,end"


def test_a_last_day_is_in_the_event_to_its_end(tmp_path):
    path = written(tmp_path, "device,sensor,first,last\na,s,2026-01-05,2026-01-06\n")
    (row,) = rows(path)
    assert row[4] - row[3] == timedelta(days=2)


def test_without_a_column_of_sensors_a_label_is_of_all_unless_another_column_may_name_them(tmp_path):
    path = written(tmp_path, "device,start,end\na,2026-01-05 10:00,2026-01-05 11:00\n")
    assert rows(path) == [("a", "*", None, TEN, TEN + HOUR)]
    with pytest.raises(InputError, match="line 2: there is no column 'tag'; known are device, sensor, kind"):
        read_labels(written(tmp_path, "device,tag,start,end\na,s,2026-01-05,2026-01-06\n"))


def test_what_a_spreadsheet_leaves_behind_is_no_row_and_no_column(tmp_path):
    path = written(tmp_path, f"{HEADER},\na,s,2026-01-05 10:00,2026-01-05 11:00,\n,,,,\n")
    assert rows(path) == [("a", "s", None, TEN, TEN + HOUR)]


def test_a_single_row_without_a_header_is_not_taken_for_one(tmp_path):
    with pytest.raises(InputError, match=r"line 1: there is no column 'device'.*; there are a, 2026-01-05"):
        read_labels(written(tmp_path, "a,2026-01-05,2026-01-06\n"))


def test_a_zone_in_a_column_of_its_own_is_refused_unless_it_is_utc(tmp_path):
    row = "a,s,2026-01-05 10:00,2026-01-05 11:00"
    assert rows(written(tmp_path, f"{HEADER},timezone\n{row},utc\n"))
    with pytest.raises(InputError, match="line 2, column 'timezone': 'Europe/Berlin' is not read; expected"):
        read_labels(written(tmp_path, f"{HEADER},timezone\n{row},Europe/Berlin\n"))


def in_berlin(tmp_path, *lines, header="device,sensor,start,end"):
    path = written(tmp_path, "\n".join([header, *lines]) + "\n")
    return [(row["start"], row["end"]) for row in read_labels(path, zone="Europe/Berlin").to_pylist()]


def test_times_without_an_offset_are_of_the_zone_of_the_readings(tmp_path):
    found = in_berlin(
        tmp_path,
        "a,s,2026-01-05 11:00,2026-01-05T11:00Z",
        "a,s,2026-07-05 12:00,2026-07-05 13:00+02:00",
    )
    summer = datetime(2026, 7, 5, 10, tzinfo=UTC)
    assert found == [(TEN, TEN + HOUR), (summer, summer + HOUR)]
    of_utc = in_berlin(tmp_path, "a,s,2026-01-05 10:00,2026-01-05 11:00,UTC", header=f"{HEADER},timezone")
    assert of_utc == [(TEN, TEN + HOUR)]
    stated = in_berlin(tmp_path, "a,s,2026-01-05 11:00,2026-01-05 12:00,Europe/Berlin", header=f"{HEADER},tz")
    assert stated == [(TEN, TEN + HOUR)]


def test_the_last_day_ends_at_midnight_of_the_zone(tmp_path):
    # Clocks are set back on it: it has 25 hours.
    ((start, end),) = in_berlin(tmp_path, "a,s,2026-10-25,2026-10-25", header="device,sensor,first,last")
    assert (start.hour, end - start) == (22, timedelta(hours=25))


@pytest.mark.parametrize(
    ("time", "said"),
    [
        ("2026-10-25 02:30", r"comes twice in Europe/Berlin, .* such as 2026-10-25T02:30\+02:00"),
        ("2026-03-29 02:30", r"is left out in Europe/Berlin, .* such as 2026-03-29T03:30\+02:00"),
    ],
)
def test_a_time_that_is_two_or_none_is_refused(tmp_path, time, said):
    with pytest.raises(InputError, match=f"labels.csv: line 2, column 'start': {time} {said}"):
        in_berlin(tmp_path, f"a,s,{time},2026-12-01")


@pytest.mark.parametrize(
    ("zone", "day", "begins", "hours"),
    [
        ("America/Santiago", "2026-09-06", "2026-09-06T04:00Z", 23),  # from 24:00 on to 1:00
        ("America/Santiago", "2026-09-05", "2026-09-05T04:00Z", 24),
        ("Atlantic/Azores", "2026-10-25", "2026-10-25T00:00Z", 25),  # from 1:00 back to 0:00
        ("Atlantic/Azores", "2026-10-24", "2026-10-24T00:00Z", 24),
    ],
)
def test_a_day_begins_with_its_first_moment_where_clocks_change_at_midnight(
    tmp_path, zone, day, begins, hours
):
    path = written(tmp_path, f"device,sensor,first,last\na,s,{day},{day}\n")
    (row,) = read_labels(path, zone=zone).to_pylist()
    start = datetime.fromisoformat(begins)
    assert (row["start"], row["end"]) == (start, start + timedelta(hours=hours))


@pytest.mark.parametrize(
    ("zone", "days"), [("UTC", "2026-01-05,9999-12-31"), ("Asia/Tokyo", "0001-01-01,2026-01-05")]
)
def test_a_day_beyond_all_times_is_refused(tmp_path, zone, days):
    path = written(tmp_path, f"device,sensor,first,last\na,s,{days}\n")
    with pytest.raises(InputError, match="is not valid; expected a time of the years 2 to 9998"):
        read_labels(path, zone=zone)


def test_a_zone_that_is_none_is_refused(tmp_path):
    path = written(tmp_path, f"{HEADER}\na,s,2026-01-05,2026-01-06\n")
    with pytest.raises(DatasetError, match=r"ingest\.timezone: 'Berlin' is not a time zone"):
        LabelFile(str(path), timezone="Berlin").load()


def test_a_list_in_the_place_of_a_text_is_refused(tmp_path):
    one = {"device": "a", "sensor": ["s", "t"], "start": "2026-01-05", "end": "2026-01-06"}
    with pytest.raises(InputError, match="line 1, column 'sensor': expected a text"):
        read_labels(written(tmp_path, json.dumps(one), "labels.jsonl"))


@pytest.mark.parametrize(
    ("header", "line", "says"),
    [
        (
            "device,sensor,begin,end",
            "a,s,1,2",
            "there is no column 'start' or 'first'; there are device, sensor, b",
        ),
        (HEADER, " ,s,2026-01-05,2026-01-06", "column 'device': expected a text"),
        (HEADER, "a,s,2026-13-05,2026-01-06", "column 'start': '2026-13-05' is not"),
        (HEADER, "a,s,2026-01-05,2026-01-05", "column 'end': 2026-01-05 is not after 'start'"),
        (HEADER, "a,s,2026-01-05", "fewer fields than the header"),
        (HEADER, "a,b,s,2026-01-05,2026-01-06", "more fields than the header"),
    ],
)
def test_a_slip_is_told_with_file_row_and_column(tmp_path, header, line, says):
    good = "a,s,2026-01-05,2026-01-06\n" if header == HEADER else ""
    place = 3 if good else 1
    with pytest.raises(InputError, match=rf"labels\.csv: line {place}\W.*{says}"):
        read_labels(written(tmp_path, f"{header}\n{good}{line}\n"))


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("labels.jsonl", "{]\n", "line 1 is not JSON"),
        ("labels.jsonl", "[1]\n", "line 1 is not a JSON object"),
        (
            "labels.jsonl",
            '{"device": "a", "sensor": "s", "start": 5, "end": null}\n',
            "column 'start': expected a time",
        ),
        ("labels.parquet", "no", "cannot be read as .parquet"),
        ("labels.xlsx", "", "its name must end in .csv"),
    ],
)
def test_a_file_that_cannot_be_read_is_told(tmp_path, name, text, says):
    with pytest.raises(InputError, match=says):
        read_labels(written(tmp_path, text, name))


def test_a_file_that_was_named_must_be_there_and_one_that_was_not_need_not(tmp_path):
    assert LabelFile(otherwise=str(tmp_path / "no.csv")).load().equals(LABELS.empty_table())
    with pytest.raises(DatasetError, match="there is no such file"):
        LabelFile(str(tmp_path / "no.csv"), str(tmp_path / "no.csv")).load()
    written(tmp_path, "device,sensor,start,end\n")
    assert LabelFile(otherwise=str(tmp_path / "labels.csv")).load().equals(LABELS.empty_table())


@pytest.mark.parametrize("delimiter", [";", "\t"])
def test_columns_may_be_separated_by_semicolons_or_tabs(tmp_path, delimiter):
    path = tmp_path / "labels.csv"
    row = ["a", "s", "2026-01-05T00:00Z", "2026-01-05T01:00Z", "worn, noisy"]
    path.write_text(delimiter.join(["device", "sensor", "start", "end", "kind"]) + "\n" + delimiter.join(row))
    assert read_labels(path)["kind"].to_pylist() == ["worn, noisy"]


def test_a_file_of_two_times_without_a_header_is_of_all_sensors_of_the_device_it_is_named_after(tmp_path):
    text = "2026-01-05T10:00:00.000000,2026-01-05T11:00:00.000000\n\n2026-01-06 10:00,2026-01-06 11:00\n"
    day = timedelta(days=1)
    expected = [("pump-07.b", "*", None, at, at + HOUR) for at in (TEN, TEN + day)]
    assert rows(written(tmp_path, text, "pump-07.b.csv")) == expected
    assert rows(written(tmp_path, "\ufeff" + text.replace(",", ";"), "pump-07.b.csv")) == expected
    quoted = "".join(f'"{line}"\n'.replace(",", '","') for line in text.split())
    assert rows(written(tmp_path, quoted.splitlines()[0] + "\n", "pump-07.b.csv")) == expected[:1]


@pytest.mark.parametrize("sensor", ["", " ", "*"])
def test_a_label_without_a_sensor_is_of_all_sensors_of_its_device(tmp_path, sensor):
    path = written(tmp_path, f"{HEADER}\na,{sensor},2026-01-05 10:00,2026-01-05 11:00\n")
    assert rows(path) == [("a", "*", None, TEN, TEN + HOUR)]


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("2026-01-05,2026-01-06,worn", "more fields than the two times of a file without a header"),
        ("2026-01-05", "fewer fields than the two times of a file without a header"),
        ("1/5/2026 0:00,1/6/2026 0:00", "column 'start': '1/5/2026 0:00' is not a valid time; expected ISO"),
        ("2026-01-05,2026-01-04", "column 'end': 2026-01-04 is not after 'start'"),
    ],
)
def test_a_slip_in_a_file_without_a_header_is_told_with_file_row_and_column(tmp_path, line, says):
    with pytest.raises(InputError, match=rf"a\.csv: line 2\W.*{says}"):
        read_labels(written(tmp_path, f"2026-01-05,2026-01-06\n{line}\n", "a.csv"))


def test_a_folder_of_files_is_read_and_each_names_its_device(tmp_path):
    times = "2026-01-05 10:00,2026-01-05 11:00\n"
    (tmp_path / "labels" / "line 2").mkdir(parents=True)
    written(tmp_path / "labels", times, "b.csv")
    written(tmp_path / "labels" / "line 2", f"{HEADER}\na,s,{times}", "any.CSV")
    written(tmp_path / "labels", "notes", "read.me")
    for place in ("labels", "labels/"):
        found = LabelFile(f"{tmp_path}/{place}").load().to_pylist()
        assert [(row["device"], row["sensor"], row["start"]) for row in found] == [
            ("b", "*", TEN),
            ("a", "s", TEN),
        ]
    (tmp_path / "labels" / "b.csv").write_text("2026-01-05,2026-01-04\n")
    with pytest.raises(DatasetError, match=r"labels/b\.csv: line 1, column 'end': 2026-01-04 is not after"):
        LabelFile(f"{tmp_path}/labels").load()


def test_a_folder_without_files_of_labels_is_told(tmp_path):
    with pytest.raises(DatasetError, match=r"no such file, nor a folder with files that end in \.csv"):
        LabelFile(str(tmp_path)).load()


@pytest.mark.parametrize("encoding", ["latin-1", "utf-16"])
def test_a_file_in_another_encoding_is_said_with_the_one_to_save_it_in(tmp_path, encoding):
    path = tmp_path / "labels.csv"
    path.write_text("device,sensor,start,end,kind\na,s,2026-01-05,2026-01-06,Prüfung\n", encoding=encoding)
    with pytest.raises(InputError, match=r"labels\.csv: is not in UTF-8 .*; save it in UTF-8"):
        read_labels(path)


def test_dates_with_points_have_the_day_first(tmp_path):
    path = tmp_path / "labels.csv"
    path.write_text(
        "device;sensor;start;end\na;s;2.3.2026 6:00;02.03.2026 08:30:00\nb;s;02.03.2026;3.3.2026\n"
    )
    rows = read_labels(path, zone="Europe/Berlin").to_pylist()
    assert [(f"{row['start']:%d %H:%M}", f"{row['end']:%d %H:%M}") for row in rows] == [
        ("02 05:00", "02 07:30"),
        ("01 23:00", "02 23:00"),
    ]


def test_columns_of_another_language_are_an_error_that_names_ours(tmp_path):
    path = tmp_path / "labels.csv"
    path.write_text("Gerät;Sensor;Beginn;Ende\na;s;2.3.2026;3.3.2026\n")
    with pytest.raises(
        InputError, match="there are gerät, sensor, beginn, ende; name the columns device, start, end"
    ):
        read_labels(path)
