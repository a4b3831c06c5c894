"""A file gets each event once, as a whole line, whatever was left in it."""

import json

import pytest

from batch_scoring.alerts.sinks.base import BATCH, UnreachableError
from batch_scoring.alerts.sinks.file import FileSink
from batch_scoring.core.locks import locked
from tests.alerts.events import make_message


def send(path, *numbers):
    sink = FileSink("file", path)
    for number in numbers:
        sink.send(make_message(number))
    sink.close()


def numbers(path):
    return [json.loads(line)["number"] for line in path.read_text().splitlines()]


def test_each_event_is_a_line(tmp_path):
    path = tmp_path / "new/folder/alerts.jsonl"
    send(path, 1, 2)
    send(path, 3)
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert lines == [make_message(n) for n in (1, 2, 3)]


def test_an_event_that_a_killed_run_has_written_is_not_written_again(tmp_path):
    path = tmp_path / "alerts.jsonl"
    send(path, *range(1, BATCH + 1))
    send(path, *range(1, BATCH + 2))
    assert numbers(path) == list(range(1, BATCH + 2))


@pytest.mark.parametrize("length", [1, 10, 60])
def test_half_a_line_of_a_killed_run_is_cut_off(tmp_path, length):
    path = tmp_path / "alerts.jsonl"
    send(path, 1, 2)
    whole = path.read_bytes()
    second = whole.index(b"\n") + 1
    path.write_bytes(whole[: second + length])
    send(path, 2)
    assert path.read_bytes() == whole


def test_what_somebody_else_wrote_stays(tmp_path):
    path = tmp_path / "notes.txt"
    path.write_text("my own notes")
    send(path, 1)
    first, second = path.read_text().splitlines()
    assert first == "my own notes"
    assert json.loads(second)["number"] == 1


def test_a_file_that_cannot_be_written_is_no_crash(tmp_path):
    (tmp_path / "alerts.jsonl").mkdir()
    with pytest.raises(UnreachableError, match="directory"):
        send(tmp_path / "alerts.jsonl", 1)


def test_two_runs_do_not_write_at_once(tmp_path):
    path = tmp_path / "alerts.jsonl"
    with locked(tmp_path / ".alerts.jsonl.lock"), pytest.raises(UnreachableError):
        send(path, 1)
    send(path, 1)
    assert numbers(path) == [1]
