"""A person sees how far it is: a bar on a terminal, lines elsewhere."""

import io
import logging
from threading import Event

import pytest

from batch_scoring.core import progress


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture
def _at_once(monkeypatch):
    for name in ("BETWEEN_LINES", "BEFORE_LOOKS"):
        monkeypatch.setattr(progress, f"SECONDS_{name}", 0.0)
    monkeypatch.setattr(progress, "SECONDS_BETWEEN_LOOKS", 0.001)


@pytest.mark.usefixtures("_at_once")
def test_elsewhere_lines_come_now_and_then_and_not_at_the_end(caplog):
    with caplog.at_level(logging.INFO), progress.show_progress("train", 3000, "windows") as show:
        for done in (1, 2000, 3000):
            show(done)
    assert caplog.messages == ["train: 1 of 3,000 windows", "train: 2,000 of 3,000 windows"]


def test_on_a_terminal_there_is_a_bar(monkeypatch):
    terminal = Terminal()
    monkeypatch.setattr("sys.stderr", terminal)
    with progress.show_progress(r"training 'po\nwer'", 2, "windows") as show:
        show(2)
    assert r"training 'po\nwer'" in terminal.getvalue()


def seen_from_outside(done):
    """Run a block that ends once it was looked at twice."""
    looks = []
    looked = Event()

    def count():
        looks.append(done)
        if len(looks) > 1:
            looked.set()
        return done

    with progress.watch_progress("ingest", 9, "files", count):
        assert looked.wait(120)


@pytest.mark.usefixtures("_at_once")
def test_a_block_that_cannot_say_how_far_it_is_is_looked_at(caplog):
    with caplog.at_level(logging.INFO):
        seen_from_outside(4)
    assert set(caplog.messages) == {"ingest: 4 of 9 files"}


@pytest.mark.usefixtures("_at_once")
def test_a_block_has_a_bar_on_a_terminal(monkeypatch):
    terminal = Terminal()
    monkeypatch.setattr("sys.stderr", terminal)
    seen_from_outside(4)
    assert "4/9" in terminal.getvalue()


@pytest.mark.usefixtures("_at_once")
def test_a_bar_does_not_go_back_when_a_count_starts_again(caplog):
    counts = iter([3, 0, 5, 2])
    ended = Event()

    def count():
        done = next(counts, None)
        if done is None:
            ended.set()
        return done or 0

    with caplog.at_level(logging.INFO), progress.watch_progress("ingest", 9, "files", count):
        assert ended.wait(120)
    assert [line.split()[1] for line in caplog.messages[:4]] == ["3", "3", "5", "5"]


def test_what_is_done_soon_shows_nothing(caplog):
    with (
        caplog.at_level(logging.INFO),
        progress.watch_progress("ingest", 9, "files", lambda: pytest.fail("looked")),
    ):
        pass
    assert caplog.messages == []


def test_an_error_of_the_block_is_raised():
    with pytest.raises(RuntimeError), progress.watch_progress("ingest", 9, "files", lambda: 0):
        raise RuntimeError
