"""What would have been sent before a sink existed is said in a line, and not sent."""

from __future__ import annotations

import pytest

from tests.alerts.events import Recorder
from tests.alerts.test_notify_run import Site


@pytest.fixture
def site(tmp_path):
    return Site(tmp_path)


def lines(caplog):
    return [record.getMessage() for record in caplog.records if "is new" in record.getMessage()]


def test_a_new_sink_is_said_what_it_is_not_sent_once(site, caplog):
    caplog.set_level("INFO")
    site.put(("a", 0, 3, "open"), ("b", 0, 3, "open"), ("c", 0, 3, "closed"))
    site.notify()
    assert lines(caplog) == []
    old, new = site.sink, Recorder("slack")
    site.sink = new
    site.notify()
    assert lines(caplog) == [
        "alerts: sink 'slack' is new: 2 open incidents were notified before it was there, and are sent to it "
        "when something changes"
    ]
    assert new.got == []
    site.put(("a", 0, 9, "closed"), ("b", 0, 3, "open"), ("c", 0, 3, "closed"))
    site.notify()
    assert [message["event_id"] for message in new.got] == ["a@0-2"]
    assert len(lines(caplog)) == 1
    assert len(old.got) == 4
