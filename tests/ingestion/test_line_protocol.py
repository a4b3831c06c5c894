"""Lines of InfluxDB's protocol become records; what is no such line is kept for the quarantine."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batch_scoring.ingestion.line_protocol import telegraf_records


def read(line):
    (record,) = map(json.loads, telegraf_records([line]))
    return record


def test_marks_behind_a_backslash_separate_nothing():
    assert read(r"my\ room,my\=tag=a\,b,host=h v\ 1=1.5,ok=t,n=-3i 1700000000000000000") == {
        "name": "my room",
        "tags": {"my=tag": "a,b", "host": "h"},
        "fields": {"v 1": 1.5, "ok": True, "n": -3},
        "timestamp": 1700000000000000000,
    }


def test_a_text_in_quotes_may_hold_every_mark():
    assert read(r'room note="a, b = \"c\" d",v=2 7')["fields"] == {"note": 'a, b = "c" d', "v": 2.0}


def test_a_line_without_a_time_has_none():
    assert read("room v=2")["timestamp"] is None


@pytest.mark.parametrize(
    "line", ["room", "room 7", "room v 7", "room,host v=1 7", "room v=1 noon", 'room v="1 7']
)
def test_what_is_no_line_is_a_text(line):
    assert read(line) == line


_NAMES = st.text(
    st.characters(codec="utf-8", exclude_categories=("Cc", "Z"), exclude_characters='\\"#'), min_size=1
)


def escaped(name):
    return "".join(f"\\{letter}" if letter in ",= " else letter for letter in name)


@given(
    _NAMES,
    st.dictionaries(_NAMES, _NAMES, max_size=3),
    st.dictionaries(_NAMES, st.floats(-1e9, 1e9), min_size=1),
)
def test_any_names_and_numbers_come_back(name, tags, fields):
    tag_set = "".join(f",{escaped(key)}={escaped(value)}" for key, value in tags.items())
    field_set = ",".join(f"{escaped(key)}={value!r}" for key, value in fields.items())
    found = read(f"{escaped(name)}{tag_set} {field_set} 1")
    assert found == {"name": name, "tags": tags, "fields": fields, "timestamp": 1}
