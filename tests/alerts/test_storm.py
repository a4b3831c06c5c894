"""Ten thousand incidents are a few messages, each once, however the receiver fares; and none is lost."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta

import pytest

from batch_scoring.alerts.ledger import Ledger
from batch_scoring.alerts.notify_run import NotifyRun, Policy
from batch_scoring.alerts.post import Poster
from batch_scoring.alerts.sinks.webhook import WebhookSink
from tests.alerts.ledgers import make_incidents
from tests.factories import START
from tests.tables_on_disk import TableOnDisk

N = 10_000
MOST = 20


class Plant:
    """Incidents of many pumps, their ledger, and a webhook."""

    def __init__(self, folder, receiver, timeout=30.0):
        self.incidents = TableOnDisk(folder / "device_incidents")
        self.ledger = TableOnDisk(folder / "notifications")
        self.receiver, self.timeout, self.hour = receiver, timeout, 0

    def storm(self, n=N, state="open", first=0):
        rows = [(f"pump-{i:05}", first, first + 3, state, 1 + 20 * i / n) for i in range(n)]
        self.incidents.replace(make_incidents(*rows))

    def notify(self, commits=None, seconds=60):
        """Run, an hour later than before; it is killed after a number of commits."""
        poster = Poster(self.timeout, 1, sleep=lambda _: None)
        sink = WebhookSink("hook", lambda: self.receiver.url, poster=poster)
        self.hour += 1
        at = START + timedelta(hours=self.hour)
        run = NotifyRun(self.incidents.load(), [sink], at, Policy(START, max_messages=MOST))
        for n, update in enumerate(run.updates(seconds)):
            if n == commits:
                return
            self.ledger.save(update)

    def told(self):
        """The incidents that the messages stand for, as the ledger knows them by the ids that arrived."""
        arrived = {event["event_id"] for event in self.receiver.events()}
        rows = Ledger.read(self.ledger.load()).table
        return Counter(
            name
            for name, message in zip(
                rows["incident_id"].to_pylist(), rows["message_id"].to_pylist(), strict=True
            )
            if message in arrived
        )


@pytest.fixture
def plant(tmp_path, receiver):
    return Plant(tmp_path, receiver)


def ids(receiver):
    return [event["event_id"] for event in receiver.events()]


@pytest.mark.slow
def test_ten_thousand_incidents_are_twenty_messages(plant, receiver):
    receiver.start()
    plant.storm()
    plant.notify()
    *single, last = receiver.events()
    assert (len(single) + 1, len(set(ids(receiver)))) == (MOST, MOST)
    assert [one["device"] for one in single] == [f"pump-{N - MOST + 1 + i:05}" for i in range(MOST - 1)]
    assert (last["change"], last["n_incidents"], len(last["worst"])) == ("several", N - MOST + 1, 20)
    assert last["worst"][0]["device"] == f"pump-{N - MOST:05}"
    assert plant.told() == Counter({f"pump-{i:05}@0": 1 for i in range(N)})
    plant.notify()
    assert len(receiver.events()) == MOST
    plant.storm(state="closed")
    plant.notify()
    assert len(receiver.events()) == 2 * MOST
    assert receiver.events()[-1]["changes"] == {"closed": N - MOST + 1}


@pytest.mark.slow
@pytest.mark.parametrize("trouble", ["slow", "500", "killed", "run killed"])
def test_whatever_the_receiver_does_each_arrives_and_nothing_is_lost(plant, receiver, trouble):
    n = 500
    plant.storm(n)
    match trouble:
        case "slow":
            receiver.start(answers=[(204, {}, 0.2)] * 30)
            plant.notify(seconds=1)
        case "500":
            receiver.start(answers=[(204, {}, 0)] * 7 + [(500, {}, 0)] * 3)
            for _ in range(3):
                plant.notify()
        case "killed":
            receiver.start(die_after=9)
            plant.notify()
            plant.notify()
        case "run killed":
            receiver.start()
            plant.notify(commits=1)
    receiver.start()
    plant.notify()
    counts = Counter(ids(receiver))
    assert len(counts) == MOST
    # Delivered once, but for what a receiver had when it died, failed or was given up; its id tells it.
    again = {"slow": 1, "500": 1, "killed": 1, "run killed": MOST}[trouble]
    assert sum(count > 1 for count in counts.values()) <= again
    assert plant.told() == Counter({f"pump-{i:05}@0": 1 for i in range(n)})
    assert plant.ledger.load().num_rows
    assert Ledger.read(plant.ledger.load()).pending("hook").size == 0
    before = len(receiver.events())
    plant.notify()
    assert len(receiver.events()) == before


@pytest.mark.slow
def test_news_in_a_storm_that_waits_are_one_more_message(plant, receiver):
    plant.storm(100)
    plant.notify()  # nobody is there
    plant.storm(300)
    plant.notify()
    receiver.start()
    plant.storm(600)
    plant.notify()
    assert len(receiver.events()) == MOST + 2
    assert plant.told() == Counter({f"pump-{i:05}@0": 1 for i in range(600)})
