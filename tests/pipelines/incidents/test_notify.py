"""Every change of an incident arrives, whoever is killed in the meantime, and repetitions can be told."""

from collections import Counter, defaultdict
from contextlib import suppress
from functools import partial
from random import Random

import pytest

from batch_scoring.alerts.post import Poster
from batch_scoring.alerts.sinks.webhook import WebhookSink
from tests.alerts.conftest import receiver  # noqa: F401
from tests.alerts.events import Recorder
from tests.factories import START
from tests.incidents.test_devices import last_rows
from tests.pipelines.incidents.work import Work
from tests.predictions import WINDOW

pytestmark = pytest.mark.slow  # servers and processes, together longer than the quick tests may take

LATER = "2026-01-06T00:00Z"


def at(window):
    return (START + window * WINDOW).isoformat()


def changes(sink):
    return [(message["device"], message["change"]) for message in sink.got]


def test_what_has_changed_is_told_and_a_second_run_tells_nothing(tmp_path):
    work, sink = Work(tmp_path), Recorder()
    work.draw({"a": "1.....", "b": ".....1"})
    work.find(cool_down=0)
    assert work.notify(lambda _: [sink], LATER) == 2
    assert changes(sink) == [("a", "opened"), ("a", "closed"), ("b", "opened")]
    before = work.files()
    assert work.notify(lambda _: [sink], LATER) == 0
    assert len(sink.got) == 3
    assert work.files() == before


def test_a_first_run_over_a_long_history_tells_the_last_day_only(tmp_path):
    work, sink = Work(tmp_path), Recorder()
    work.draw({"a": "..1.....1...1..1.."})
    work.find(tolerated_gap=0, cool_down=0)
    work.notify(lambda _: [sink], "2026-01-08T00:00Z")
    assert [(m["start"], m["change"]) for m in sink.got] == [
        ("2026-01-07T00:00:00Z", "opened"), ("2026-01-07T00:00:00Z", "closed"),
        ("2026-01-07T00:15:00Z", "opened"), ("2026-01-07T00:15:00Z", "closed"),
    ]  # fmt: skip


def test_a_run_for_an_earlier_time_does_not_tell_again_what_is_history(tmp_path):
    work, sink = Work(tmp_path), Recorder()
    work.draw({"a": "..1..."})
    work.find(cool_down=0)
    work.notify(lambda _: [sink], at(5))
    work.notify(lambda _: [sink], "2026-01-09T00:00Z")
    work.notify(lambda _: [sink], at(5))
    assert changes(sink) == [("a", "opened"), ("a", "closed")]


def test_one_that_was_told_is_followed_however_long_it_lasts(tmp_path):
    work, sink = Work(tmp_path), Recorder()
    work.draw({"a": ".....1"})
    work.find(cool_down=0)
    work.notify(lambda _: [sink], at(6))
    for day in range(1, 9):
        work.draw({"b": "......"}, day=day)
        work.find(cool_down=0)
        work.notify(lambda _: [sink], at(288 * day + 6))
    assert changes(sink) == [("a", "opened")]
    work.draw({"a": "......"}, day=1)
    work.find(cool_down=0)
    work.notify(lambda _: [sink], at(288 * 8 + 7))
    assert changes(sink) == [("a", "opened"), ("a", "closed")]
    assert sink.got[1]["event_id"] == f"{sink.got[0]['incident_id']}-2"


def test_a_late_reading_that_moves_the_start_withdraws_the_former_id(tmp_path):
    work, sink = Work(tmp_path), Recorder()
    work.draw({"a": "..1111"})
    work.find()
    work.notify(lambda _: [sink], at(6))
    work.draw({"a": ".21111"})
    work.find()
    work.notify(lambda _: [sink], at(7))
    former = sink.got[0]["incident_id"]
    assert [message["change"] for message in sink.got] == ["opened", "opened", "withdrawn"]
    assert sink.got[2]["incident_id"] == former != sink.got[1]["incident_id"]
    assert sink.got[2]["merged_into"] == sink.got[1]["incident_id"]


def test_without_sinks_nothing_is_kept(tmp_path):
    work = Work(tmp_path)
    work.draw({"a": "1....."})
    work.find()
    assert work.notify(lambda _: [], LATER, sinks=[]) == 0
    assert not work.ledger.load().exists


class Killed(BaseException):
    """The run ends here, as if by SIGKILL."""


class Mortal:
    """A sink in whose hands the run dies, before or after it has sent an event."""

    def __init__(self, sink, dies_after, is_sent):
        self.name, self.takes_all, self._sink = sink.name, sink.takes_all, sink
        self._left, self._is_sent = dies_after, is_sent

    def send(self, message):
        self._left -= 1
        if self._left == 0 and not self._is_sent:
            raise Killed
        self._sink.send(message)
        if self._left == 0:
            raise Killed

    def close(self):
        self._sink.close()


@pytest.mark.parametrize("seed", range(2))
def test_a_receiver_and_runs_that_are_killed_lose_no_change(tmp_path, receiver, seed):  # noqa: F811
    """Six windows of twenty pumps arrive an hour apart. Whoever can be killed is killed."""
    random = Random(seed)
    pumps = {f"pump-{i:02}": "".join(random.choices(".1", [2, 1], k=36)) for i in range(20)}
    poster = Poster(5, sleep=lambda _: None)
    hook = partial(WebhookSink, "hook", lambda: receiver.url, poster=poster, takes_all=True)
    work, reference, undisturbed = Work(tmp_path / "w"), Work(tmp_path / "r"), Recorder()
    for one in (work, reference):
        # Of a fleet so large that they are no event of it.
        one.gaps.add(last_rows(*((f"pump-{i:03}", "s") for i in range(200))))
    for hour in range(1, 7):
        for one in (work, reference):
            one.draw({pump: text[: 6 * hour] for pump, text in pumps.items()})
            one.find(tolerated_gap=0, cool_down="10m")
        reference.notify(lambda _: [undisturbed], at(6 * hour))
        for _ in range(2):
            match random.choice(["down", "dies", "up", "run dies"]):
                case "down":
                    receiver.kill()
                    work.notify(lambda _: [hook()], at(6 * hour))
                case "dies":
                    receiver.start(die_after=random.randint(1, 20))
                    work.notify(lambda _: [hook()], at(6 * hour))
                case "up":
                    receiver.start()
                    work.notify(lambda _: [hook()], at(6 * hour))
                case "run dies":
                    receiver.start()
                    mortal = Mortal(hook(), random.randint(1, 20), random.random() < 0.5)
                    with suppress(Killed):
                        work.notify(lambda _, sink=mortal: [sink], at(6 * hour))
    receiver.start()
    work.notify(lambda _: [hook()], at(37))

    received = receiver.events()
    assert {event["event_id"] for event in received} == {event["event_id"] for event in undisturbed.got}
    assert len(undisturbed.got) == len({event["event_id"] for event in undisturbed.got}) > 100
    # There were repetitions, and their ids tell them: what has one id is one event.
    assert max(Counter(event["event_id"] for event in received).values()) > 1
    first = {event["event_id"]: event for event in reversed(received)}
    assert all(event == first[event["event_id"]] for event in received)
    # Of each incident they came in order, repetitions aside.
    order = defaultdict(list)
    for event in dict.fromkeys(event["event_id"] for event in received):
        order[first[event]["incident_id"]].append(first[event]["number"])
    assert all(numbers == sorted(numbers) for numbers in order.values())
    assert all(work.told().table["is_delivered"].to_pylist())
