"""A person sees how far it is: a bar on a terminal, lines elsewhere."""

import io
import logging

from batch_scoring.training import progress


def test_elsewhere_lines_come_now_and_then_and_not_at_the_end(monkeypatch, caplog):
    monkeypatch.setattr(progress, "SECONDS_BETWEEN_LINES", 0.0)
    with caplog.at_level(logging.INFO), progress.show_progress("power", 3) as show:
        for done in (1, 2, 3):
            show(done)
    assert [record.args for record in caplog.records] == [("power", 1, 3), ("power", 2, 3)]


def test_on_a_terminal_there_is_a_bar(monkeypatch):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    terminal = Terminal()
    monkeypatch.setattr("sys.stderr", terminal)
    with progress.show_progress("po\nwer", 2) as show:
        show(2)
    assert r"training 'po\nwer'" in terminal.getvalue()
