"""Configuration is read into typed objects, or refused with a suggestion."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batch_scoring.core.errors import InputError
from batch_scoring.core.parameters import read_duration, read_parameters, read_time, scheduled_time


@dataclass(frozen=True)
class Inner:
    nu: float = 0.1


@dataclass(frozen=True)
class Settings:
    name: str
    count: int = 1
    flag: bool = False
    window: timedelta = timedelta(minutes=5)
    from_: datetime | None = None
    mode: Literal["a", "b"] = "a"
    names: tuple[str, ...] = ()
    table: dict = field(default_factory=dict)
    anything: Any = None
    inner: Inner = field(default_factory=Inner)


def test_every_type_is_read_and_the_rest_has_its_default():
    values = {
        "name": "x",
        "count": 2.0,
        "window": "1h",
        "from": "2026-01-05",
        "mode": "b",
        "names": ["a"],
        "inner": {"nu": 1},
    }
    assert read_parameters(Settings, values, "s") == Settings(
        "x", 2, False, timedelta(hours=1), datetime(2026, 1, 5, tzinfo=UTC), "b", ("a",), inner=Inner(1.0)
    )


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"nam": "x"}, "s.nam: there is no such setting; did you mean 'name'?"),
        ({"name": "x", "zzz": 1}, "s.zzz: there is no such setting; known are: anything, count"),
        ({}, "s.name: this setting is missing"),
        ({"name": 7}, "s.name: expected text, got 7"),
        ({"name": "x", "count": 1.5}, "s.count: expected a whole number, got 1.5"),
        ({"name": "x", "count": True}, "s.count: expected a whole number, got True"),
        ({"name": "x", "flag": "yes"}, "s.flag: expected true or false, got 'yes'"),
        ({"name": "x", "mode": "c"}, "s.mode: 'c' is not valid; expected one of 'a', 'b'"),
        ({"name": "x", "names": "a"}, "s.names: expected a list, got 'a'"),
        ({"name": "x", "table": 1}, "s.table: expected a dict, got 1"),
        ({"name": "x", "window": "5 parsecs"}, "s.window: '5 parsecs' is not"),
        ({"name": "x", "window": -5}, "s.window: -5 is not"),
        ({"name": "x", "from": "noon"}, "s.from: 'noon' is not a valid time"),
        ({"name": "x", "count": 10**400}, "s.count: expected a whole number, got 1000"),
        ({"name": "x", "count": float("nan")}, "s.count: expected a whole number, got nan"),
        ({"name": "x", "inner": {"nu": float("nan")}}, "s.inner.nu: expected a number, got nan"),
        ({"name": "x", "inner": {"nu": float("inf")}}, "s.inner.nu: expected a number, got inf"),
        ({"name": "x", "inner": {"nu": 10**400}}, "s.inner.nu: expected a number, got 1000"),
        ({"name": "x", "window": float("inf")}, "s.window: inf is not"),
        ({"name": "x", "window": "99999999999d"}, "s.window: '99999999999d' is not"),
        ({"name": "x", "from": "99999-01-01"}, "s.from: '99999-01-01' is not a valid time"),
        ({"name": "x", "from": "0001-01-01T00:00+14:00"}, "s.from: '0001-01-01T00:00+14:00' is not a valid"),
        ({"name": "x", "inner": {"mu": 1}}, "s.inner.mu: there is no such setting; known are: nu"),
        ({"name": "x", "inner": 5}, "s.inner: expected a group of settings, got 5"),
    ],
)
def test_what_makes_no_sense_is_named_with_what_was_expected(values, says):
    with pytest.raises(InputError) as error:
        read_parameters(Settings, values, "s")
    assert says in str(error.value)


def test_nothing_at_all_takes_every_default():
    assert read_parameters(Inner, None, "s") == Inner()


@given(st.integers(0, 99), st.integers(0, 99), st.integers(0, 99))
def test_durations_add_up(hours, minutes, seconds):
    expected = timedelta(hours=hours, minutes=minutes, seconds=seconds)
    assert read_duration(f"{hours}h {minutes}min{seconds}s", "x") == expected
    assert read_duration(expected.total_seconds(), "x") == expected
    assert read_duration(expected, "x") == expected


def test_times_are_utc_whatever_their_offset():
    assert read_time("2026-01-05T01:00+01:00", "x") == datetime(2026, 1, 5, tzinfo=UTC)
    assert read_time(datetime(2026, 1, 5), "x").tzinfo == UTC


def test_without_a_scheduled_time_it_is_now():
    before = datetime.now(UTC)
    assert before <= scheduled_time(None) <= datetime.now(UTC)
    assert scheduled_time("2026-01-05T00:00Z") == datetime(2026, 1, 5, tzinfo=UTC)
