"""What `kedro readings inspect` says of a file, and that it reads no more of it than a sample."""

import json
from cProfile import Profile
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner
from kedro.framework.startup import bootstrap_project

from batch_scoring.cli.readings import readings as command
from batch_scoring.datasets.raw_readings import RawReadings
from batch_scoring.ingestion.inspection import inspect_files
from batch_scoring.ingestion.inspection.rendering import as_text, as_values, sentence
from batch_scoring.ingestion.inspection.sample import WHOLE_BYTES, take_sample
from batch_scoring.ingestion.source_files import list_source_files
from tests.pipelines.ingest.ingestion import row, write_csv, write_lines

# Each reads files by the whole way in, and most twice.
pytestmark = pytest.mark.slow

PROJECT = Path(__file__).parents[2]


def inspected(place, **settings):
    return inspect_files(RawReadings(str(place)).load(), settings)


def test_a_plain_file_is_described_and_needs_no_settings(tmp_path):
    place = write_csv(tmp_path / "a.csv", *(row(10 * n, device="d1", value=n) for n in range(20)))
    found = as_values(inspected(place), "a.csv")
    assert found["is_readable"]
    assert found["settings"] == {}
    assert found["doubts"] == []
    assert found["text"] == {
        "encoding": "utf-8",
        "delimiter": ",",
        "comment": None,
        "skip_lines": 0,
        "header": 1,
    }
    assert [(one["name"], one["role"]) for one in found["columns"]] == [
        (role, role) for role in ("timestamp", "device", "sensor", "value")
    ]
    assert found["window"] == "1h"
    assert found["params"] == "aggregate.window=1h"
    assert found["as_is"]["first"][0] == {
        "timestamp": "2026-01-05T00:00:00+00:00",
        "device": "d1",
        "sensor": "s",
        "value": 0.0,
    }


def test_all_settings_of_an_inspection_are_tried_in_one_database(tmp_path, monkeypatch):
    lines = [f"12.03.2026;{n // 60:02}:{n % 60:02};{n},5 bar;x" for n in range(0, 400, 10)]
    place = write_lines(tmp_path / "a.csv", ["date;clock;pump;unit", *lines])
    opened, connect = [], duckdb.connect
    monkeypatch.setattr(duckdb, "connect", lambda **given: opened.append(given) or connect(**given))
    found = inspected(place, temp_directory=str(tmp_path / "scratch"))
    assert len(found.proposal.settings) == 3
    assert len(opened) == 1
    assert list((tmp_path / "scratch").iterdir()) == []


def test_a_refused_memory_limit_is_a_sentence_of_the_inspection(tmp_path):
    place = write_csv(tmp_path / "a.csv", row(0, value=1))
    found = inspected(place, memory_limit="plenty", temp_directory=str(tmp_path / "scratch"))
    assert not found.is_readable
    assert "ingest.memory_limit: 'plenty' is refused" in sentence(found)
    assert list((tmp_path / "scratch").iterdir()) == []


@pytest.mark.parametrize(("time", "is_doubt"), [("%d.%m.%Y %H:%M", True), ("%Y-%m-%d %H:%M", False)])
def test_points_that_may_separate_thousands_are_a_doubt_beside_dates_with_points(tmp_path, time, is_doubt):
    times = [datetime(2026, 3, 12, 20) + timedelta(minutes=10 * n) for n in range(40)]
    rows = (f"{at:{time}};p;1.{7 * n:03d}" for n, at in enumerate(times))
    place = write_lines(tmp_path / "a.csv", ["time;device;count", *rows])
    found = inspected(place)
    assert any("separates thousands" in doubt for doubt in found.proposal.doubts) == is_doubt


def test_a_word_that_stands_again_and_again_among_numbers_is_proposed_as_missing(tmp_path):
    values = ["k.A." if n % 15 == 7 else n % 7 for n in range(60)]
    rows = [row(10 * n, device="d1", value=value) for n, value in enumerate(values)]
    found = inspected(write_csv(tmp_path / "a.csv", *rows))
    assert found.proposal.settings == {"missing": ["k.A."]}
    assert any("k.A. (4 times)" in doubt for doubt in found.proposal.doubts)
    one = inspected(write_csv(tmp_path / "b.csv", *rows[:20], row(200, device="d1", value="oops")))
    assert "oops" not in str(one.proposal.settings)


def test_a_file_that_is_too_short_for_a_model_is_said_to_be(tmp_path):
    day = write_csv(tmp_path / "day.csv", *(row(10 * n, device="d1", value=n % 7) for n in range(144)))
    found = inspected(day)
    assert as_values(found, "day.csv")["windows_of_a_series"] == 24
    assert "Too short for a model" in as_text(found, "day.csv", needed_windows=25)
    assert "Too short for a model" not in as_text(found, "day.csv", needed_windows=24)


def test_how_many_windows_a_large_file_has_is_not_known(tmp_path):
    rows = (row(n, device="d1", value=n % 7, sensor="s" * 100) for n in range(10_000))
    found = inspected(write_csv(tmp_path / "large.csv", *rows))
    assert found.is_partial
    assert found.n_windows is None
    assert "Too short for a model" not in as_text(found, "large.csv", needed_windows=10**9)


def test_words_for_below_and_above_the_range_of_an_instrument_are_no_states(tmp_path):
    rows = [row(5 * n, value="Low" if n == 9 else "High" if n == 11 else 100 + n % 7) for n in range(40)]
    found = inspected(write_csv(tmp_path / "glucose.csv", *rows))
    assert "words" not in found.proposal.settings
    assert found.trial.refused["not_a_number"].rows == 2


def test_a_column_of_one_word_is_a_sensor_only_where_the_word_says_what_it_means(tmp_path):
    rows = [f"2026-01-05T00:{n:02d}:00Z,d1,{n % 5},clear,closed" for n in range(40)]
    place = write_lines(tmp_path / "a.csv", ["time,device,temp,sky,door", *rows])
    found = inspected(place)
    assert found.proposal.settings["words"] == {"closed": 0}
    assert set(found.trial.readings["sensor"].to_pylist()) == {"temp", "door"}


def test_readings_of_bad_quality_are_said_to_be_stored(tmp_path):
    rows = [f"2026-01-05T00:{n:02d}:00Z,d1,s,{n % 5},{'Bad' if n == 7 else 'Good'}" for n in range(40)]
    place = write_lines(tmp_path / "a.csv", ["time,device,sensor,value,Quality", *rows])
    found = inspected(place)
    assert found.as_is.readings.num_rows == 40
    assert any(
        "Quality" in doubt and "Bad" in doubt and "ingest.quality.column=Quality" in doubt
        for doubt in found.proposal.doubts
    )


def test_a_column_of_one_text_may_name_the_device(tmp_path):
    lines = [f"2026-03-02T00:{n:02d}:00Z,press-1,{20 + n % 7}.5,{n % 5}.25" for n in range(40)]
    doubts = inspected(write_csv(tmp_path / "a.csv", *lines, header="time,where,temp,flow")).proposal.doubts
    said = "where: 'press-1' in every row; if it names the device, set ingest.columns.device=where"
    assert said in doubts


def test_texts_that_may_name_devices_and_columns_that_may_be_hours_are_said(tmp_path):
    lines = [
        f"2026-01-{1 + day:02d},{'ab'[day % 2]}," + ",".join("1.5" for _ in range(24)) for day in range(9)
    ]
    head = "date,line," + ",".join(f"H{hour:02d}" for hour in range(24))
    doubts = inspected(write_csv(tmp_path / "a.csv", *lines, header=head)).proposal.doubts
    assert (
        "line: 2 texts such as 'a' are not used; if they name devices, set ingest.columns.device=line"
        in doubts
    )
    assert (
        "H00 … H23: taken as 24 sensors; if they are the hours of one, write a row an hour, with its time"
        in doubts
    )


def test_columns_of_two_levels_are_said_to_be_sensors_of_one_device(tmp_path):
    times = pa.array([60_000_000 * n for n in range(30)], pa.timestamp("us"))
    values = pa.array([20.0 + n % 7 for n in range(30)])
    names = ["('pump1', 'flow')", "('pump2', 'flow')", "time"]
    pq.write_table(pa.table([values, values, times], names), tmp_path / "a.parquet")
    (doubt,) = (one for one in inspected(tmp_path / "a.parquet").proposal.doubts if "pandas" in one)
    assert doubt.startswith(
        "('pump1', 'flow') …: columns of pandas with two levels are sensors of one device;"
    )


def test_bytes_that_nobody_decodes_are_said_to_be_left_out(tmp_path):
    lines = [f"2026-01-01T{hour:02d}:00Z,d{hour % 2},0167{hour:02x}ffaa,{-80 - hour}" for hour in range(20)]
    found = inspected(write_csv(tmp_path / "a.csv", *lines, header="time,device,payload,rssi"))
    assert found.is_readable
    assert (
        "payload holds encoded bytes ('016700ffaa'), which are not decoded: nothing of them is stored"
        in found.proposal.doubts
    )


def test_all_columns_that_are_missing_are_proposed_at_once(tmp_path):
    rows = (f"2026-01-05T00:{n:02d}:00Z,unit-a,temp,{n}" for n in range(9))
    place = write_lines(tmp_path / "a.csv", ["when,machine,quantity,amount", *rows])
    assert as_values(inspected(place), "a.csv")["settings"] == {
        "columns": {"timestamp": "when", "device": "machine", "sensor": "quantity", "value": "amount"}
    }


def test_a_date_that_may_be_read_in_two_ways_is_read_in_one_and_said(tmp_path):
    rows = (f"05/06/2025 {n:02d}:00,d,s,{n}" for n in range(9))
    found = inspected(write_csv(tmp_path / "a.csv", *rows))
    assert found.proposal.settings == {"time_format": "%d/%m/%Y %H:%M"}
    assert any("'%m/%d/%Y %H:%M'" in doubt for doubt in found.proposal.doubts)


@pytest.mark.parametrize(("seconds", "is_doubt"), [(1_164_067_200, True), (1_795_132_800, False)])
def test_seconds_of_twenty_years_ago_may_be_counted_from_the_day_of_garmin(tmp_path, seconds, is_doubt):
    rows = (f"{seconds + 600 * n},{100 + n % 5}" for n in range(20))
    found = inspected(write_csv(tmp_path / "run.csv", *rows, header="record.timestamp[s],heart_rate"))
    assert sum("1989-12-31" in doubt for doubt in found.proposal.doubts) == is_doubt


def test_a_zone_that_is_not_stated_is_said_with_the_zone_that_is_taken(tmp_path):
    place = write_csv(tmp_path / "a.csv", *(f"2026-01-05 00:{n:02d}:00,d,s,{n}" for n in range(9)))
    (doubt,) = inspected(place, timezone="Asia/Tokyo").proposal.doubts
    assert "Asia/Tokyo" in doubt


def test_the_command_names_the_zone_that_is_taken_or_the_one_that_is_given(tmp_path):
    place = write_csv(tmp_path / "a.csv", "2026-01-05 10:00,d,s,1.5", "2026-01-05 10:01,d,s,2.5")
    text = as_text(inspected(place), str(place))
    assert ",ingest.timezone=UTC" in text
    assert "The times have no zone: in place of UTC write theirs, such as Europe/Berlin." in text
    text = as_text(inspected(place, timezone="Asia/Tokyo"), str(place), 0, "ingest.timezone=Asia/Tokyo")
    assert ",ingest.timezone=Asia/Tokyo" in text
    assert "in place of" not in text


def test_the_hour_that_clocks_repeat_asks_for_the_zone_and_joins_nothing(tmp_path):
    times = [datetime(2025, 10, 26, 1, 0) + timedelta(minutes=10 * n) for n in range(12)]
    times += [*times[-6:], datetime(2025, 10, 26, 3, 0)]
    place = write_csv(tmp_path / "a.csv", *(f"{one},d,s,{n}" for n, one in enumerate(times)))
    found = inspected(place)
    assert "same_time" not in found.proposal.settings
    assert any("ingest.timezone" in doubt and "goes back" in doubt for doubt in found.proposal.doubts)
    assert not any("goes back" in one for one in inspected(place, timezone="Europe/Berlin").proposal.doubts)


def test_what_is_refused_is_counted_by_reason_with_its_first_text(tmp_path):
    rows = [row(n, value=n) for n in range(20)]
    rows[3], rows[7] = row(3, value="broken"), row(7, value="too")
    found = inspected(write_csv(tmp_path / "a.csv", *rows))
    assert found.is_readable
    refused = found.as_is.refused["not_a_number"]
    assert (refused.rows, refused.first, refused.row) == (2, "broken", 5)
    assert "'broken'" in as_text(found, "a.csv")


def test_settings_of_the_project_are_the_ones_that_are_tried(tmp_path):
    rows = (f"2026-01-05T00:{n:02d}:00Z,unit-a,temp,{n}" for n in range(9))
    place = write_lines(tmp_path / "a.csv", ["when,device,sensor,value", *rows])
    found = inspected(place, columns={"timestamp": "when"})
    assert found.proposal.settings == {}
    assert found.as_is.readings.num_rows == 9


def test_a_good_file_and_one_of_another_form_are_told_apart(tmp_path):
    write_csv(tmp_path / "in" / "a.csv", *(row(n, value=n) for n in range(9)))
    write_lines(tmp_path / "in" / "b.csv", ["name,colour", "x,red"])
    found = inspected(tmp_path / "in")
    assert not found.is_readable
    assert found.trial.readings.num_rows == 9
    assert "b.csv" in sentence(found)


def calls_of(function, *arguments):
    """Number of calls that a function makes: its work, whatever else the machine does."""
    profile = Profile()
    profile.runcall(function, *arguments)
    return sum(one.callcount for one in profile.getstats())


def test_the_work_on_a_wide_file_grows_with_its_columns_and_not_with_their_square(tmp_path):
    def work(width):
        names = [f"s{n}" for n in range(width)]
        rows = (f"2026-01-05T00:0{row}Z,{','.join(f'{row + n}.5' for n in range(width))}" for row in range(3))
        return calls_of(inspected, write_lines(tmp_path / f"{width}.csv", [f"ts,{','.join(names)}", *rows]))

    assert work(1200) < 5 * work(300)


@pytest.mark.parametrize("suffix", [".csv", ".csv.gz", ".parquet", ".json"])
def test_a_large_file_is_inspected_by_a_small_sample_of_it(tmp_path, suffix):
    import pyarrow as pa
    import pyarrow.parquet as pq

    start, n = datetime(2026, 1, 5, tzinfo=UTC), 90_000
    place = tmp_path / f"a{suffix}"
    values = [step * 7919 % 1_000_003 / 7 for step in range(n)]
    if suffix == ".parquet":
        times = pa.array([start + timedelta(seconds=step) for step in range(n)], pa.timestamp("us", "UTC"))
        ids = pa.array(["d"] * n)
        pq.write_table(pa.table({"timestamp": times, "device": ids, "sensor": ids, "value": values}), place)
    elif suffix == ".json":
        rows = [
            {"timestamp": step + 1767571200, "device": "d", "sensor": "s", "value": v}
            for step, v in enumerate(values)
        ]
        place.write_text(json.dumps(rows))
    else:
        write_csv(place, *(row(step / 60, value=v) for step, v in enumerate(values)))
    (file,) = list_source_files(str(place))
    sample = take_sample(file, file.path, tmp_path / "sample")
    assert sample.size < WHOLE_BYTES or file.size <= WHOLE_BYTES
    found = inspected(place)
    assert found.is_readable
    assert found.proposal.settings == {}
    assert 1_000 < found.trial.readings.num_rows < n
    assert found.is_partial


def test_the_end_of_a_large_file_tells_day_and_month_apart(tmp_path):
    first = datetime(2026, 1, 2)
    times = [first + timedelta(minutes=n) for n in range(40_000)]
    place = write_csv(
        tmp_path / "a.csv",
        *(f"{at:%d/%m/%Y %H:%M:%S},device-of-a-long-name,sensor,{at.minute}" for at in times),
    )
    assert place.stat().st_size > WHOLE_BYTES
    found = inspected(place)
    assert found.is_readable
    assert found.trial.readings["timestamp"][0].as_py() == first.replace(tzinfo=UTC)
    assert not any("day or month" in doubt for doubt in found.proposal.doubts)


class TestCommand:
    @pytest.fixture(autouse=True)
    def project(self, monkeypatch):
        bootstrap_project(PROJECT)
        monkeypatch.chdir(PROJECT)

    def run(self, *arguments):
        return CliRunner().invoke(command, ["inspect", *map(str, arguments)])

    def test_it_prints_the_params_to_copy_and_ends_with_0(self, tmp_path):
        rows = (f"2026-01-05T00:{n:02d}:00Z,unit-a,temp,{n}" for n in range(9))
        place = write_lines(tmp_path / "own.csv", ["when,device,sensor,value", *rows])
        result = self.run(place)
        assert result.exit_code == 0
        assert (
            f'kedro run --params "readings={place},data=data/own,ingest.columns.timestamp=when"'
            in result.output
        )

    def test_a_file_that_cannot_be_read_ends_with_1_and_one_sentence_beside_the_others(self, tmp_path):
        good = write_csv(tmp_path / "a.csv", *(row(n, value=n) for n in range(9)))
        bad = write_lines(tmp_path / "b.csv", ["AT,AP", "1.5,2.5", "1.6,2.6"])
        result = self.run(good, bad, tmp_path / "none.csv", "--json")
        assert result.exit_code == 1
        assert [one["is_readable"] for one in json.loads(result.stdout)] == [True, False]
        errors = result.stderr.splitlines()
        assert len(errors) == 2
        assert "no column is a time" in errors[0]
        assert "none.csv" in errors[1]

    def test_params_are_tried(self, tmp_path):
        rows = (f"2026-01-05T00:{n:02d}:00Z,unit-a,temp,{n}" for n in range(9))
        place = write_lines(tmp_path / "own.csv", ["when,device,sensor,value", *rows])
        result = self.run(place, "--params", "ingest.columns.timestamp=when", "--json")
        assert json.loads(result.stdout)[0]["settings"] == {}


def test_no_mean_is_proposed_over_rows_that_a_column_tells_apart(tmp_path):
    rows = (f"2026-01-05 {n:02d}:00:00,{n}.{point},{point}" for n in range(20) for point in ("3", "4"))
    place = write_lines(tmp_path / "a.csv", ["time,level,type", *rows])
    found = inspected(place, device="d1")
    assert "same_time" not in found.proposal.settings
    assert "they differ in type: set ingest.columns.device" in sentence(found)
