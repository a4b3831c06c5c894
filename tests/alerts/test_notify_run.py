"""Every event reaches its sink, and few twice, whoever is killed or comes in between."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batch_scoring.alerts import delivery
from batch_scoring.alerts.ledger import Ledger
from batch_scoring.alerts.notify_run import NotifyRun, Policy
from batch_scoring.storage.row_table import RowTable, Update
from tests.alerts.events import Recorder
from tests.alerts.ledgers import make_incidents
from tests.examples import few_examples
from tests.factories import START
from tests.predictions import WINDOW
from tests.tables_on_disk import TableOnDisk

pytestmark = pytest.mark.slow


class Site:
    """Incidents, a ledger, and a sink that remembers."""

    def __init__(self, folder: Path) -> None:
        self.incidents = TableOnDisk(folder / "device_incidents")
        self.ledger = TableOnDisk(folder / "ledger")
        self.sink = Recorder()

    def put(self, *rows: tuple[str, int, int, str]) -> None:
        self.incidents.replace(make_incidents(*rows))

    def run(self, since: int = 0, sink: Recorder | None = None) -> Iterator[Update]:
        time = START + since * WINDOW
        run = NotifyRun(self.incidents.load(), [sink or self.sink], time, Policy(time))
        return run.updates(3600)

    def notify(self, since: int = 0) -> int:
        """Run to the end; how often it committed."""
        return sum(self.ledger.save(update) for update in self.run(since))

    def got(self) -> list[tuple[str, str]]:
        return [(message["event_id"], message["change"]) for message in self.sink.got]

    def stored(self) -> int:
        return self.ledger.load().num_rows


@pytest.fixture
def site(tmp_path):
    return Site(tmp_path)


def fleet(n, state="open"):
    return [(f"d{i:03}", 0, 1, state) for i in range(n)]


def test_deliveries_append_and_the_next_news_join_them(site, monkeypatch):
    monkeypatch.setattr(delivery, "BATCH", 2)
    site.put(*fleet(40))
    before = {file.name for file in site.ledger.load().files()}
    for update in site.run():
        site.ledger.save(update)
        files = {file.name for file in site.ledger.load().files()}
        assert len(files) == len(before) + 1
        assert before < files or not before
        before = files
    assert (len(before), site.stored(), len(site.sink.got)) == (21, 80, 40)
    assert site.notify() == 0
    site.put(*fleet(40), ("new", 0, 1, "open"))
    site.ledger.save(next(site.run()))
    assert [(file.rows, file.bounds["device"]) for file in site.ledger.load().files()] == [
        (41, ("d000", "new"))
    ]


def test_few_files_stay_where_they_are(site):
    site.put(*fleet(3))
    site.notify()
    site.put(*fleet(3), ("new", 0, 1, "open"))
    site.ledger.save(next(site.run()))
    table = site.ledger.load()
    # What was due and is delivered is gone, with its file.
    assert sorted((file.rows, file.bounds["device"]) for file in table.files()) == [
        (1, ("new", "new")), (3, ("d000", "d002")),
    ]  # fmt: skip


def test_without_news_only_the_time_is_recorded(site):
    site.put(*fleet(3))
    site.notify()
    names = [file.name for file in site.ledger.load().files()]
    assert site.notify(since=2) == 1
    assert [file.name for file in site.ledger.load().files()] == names
    assert site.notify(since=2) == site.notify(since=1) == 0
    assert len(site.sink.got) == 3


def test_a_first_run_without_news_tells_nothing_of_before(site):
    site.put(("a", 0, 1, "closed"))
    site.notify(since=5)
    site.notify(since=0)
    assert site.got() == []


def test_a_run_that_another_one_overtakes_finds_out_anew(site):
    """The other run knows more, and commits between the finding and the commit of this one."""
    site.put(("a", 0, 1, "open"))
    stale = site.run()
    began = next(stale)
    calls = []

    def update(stored: RowTable):
        change = began(stored)
        if not calls:
            site.put(("a", 0, 2, "closed"), ("b", 1, 2, "open"))
            site.notify()
        calls.append(stored.version)
        return change

    site.ledger.save(update)
    assert len(calls) == 2
    assert [site.ledger.save(one) for one in stale] == []
    assert site.got() == [("a@0-1", "opened"), ("a@0-2", "closed"), ("b@1-1", "opened")]
    assert site.notify() == 0


def test_a_run_that_looked_before_the_incidents_were_made_anew_sends_nothing_of_them(site):
    """Made anew in fewer commits than it has seen; another run has sent them in between."""
    for n in range(1, 4):
        site.put(*fleet(n))
    stale = NotifyRun(site.incidents.load(), [site.sink], START, Policy(START))
    assert stale._incidents.exists  # a table is of the version at which it is first looked at
    shutil.rmtree(stale._incidents.folder.path())
    site.put(("new", 0, 1, "open"))
    site.notify()
    assert not any(site.ledger.save(update) for update in stale.updates(3600))
    assert site.got() == [("new@0-1", "opened")]


def test_of_two_runs_that_send_one_leaves_the_rest_to_the_other(site, monkeypatch):
    monkeypatch.setattr(delivery, "BATCH", 5)
    site.put(*fleet(50))
    site.ledger.save(next(site.run()))
    first, second = site.run(), site.run()
    for run in (first, second):
        site.ledger.save(next(run))
    finished = set()
    while len(finished) < 2:
        for name, run in (("first", first), ("second", second)):
            update = next(run, None)
            if update is None:
                finished.add(name)
            else:
                site.ledger.save(update)
    counts = Counter(event for event, _ in site.got())
    assert (len(counts), max(counts.values())) == (50, 2)
    assert sum(count == 2 for count in counts.values()) == 5
    # What both have sent is noted once: a row that waits and one that is delivered, of each event.
    assert site.stored() == 2 * 50
    assert site.notify() == 0


class Killed(BaseException):
    """The run ends here, as if by SIGKILL."""


class Mortal(Recorder):
    """The sink of a run that dies while it is sending, before or after the receiver has the event."""

    def __init__(self, sink: Recorder, left: int, arrives: bool) -> None:
        super().__init__()
        self._sink, self._left, self._arrives = sink, left, arrives

    def send(self, message):
        self._left -= 1
        if self._left or self._arrives:
            self._sink.send(message)
        if not self._left:
            raise Killed


STATES = st.lists(st.sampled_from(["open", "closed", "gone"]), min_size=6, max_size=6)
RUNS = st.lists(st.tuples(STATES, st.integers(0, 2**32), st.integers(0, 2)), min_size=1, max_size=6)


@few_examples
@given(RUNS)
def test_each_event_arrives_and_at_most_a_batch_twice_for_each_run_that_ends_early(tmp_path_factory, runs):
    """Incidents come and go, runs are killed or run side by side, and what is over is dropped."""
    batch = 3
    site = Site(tmp_path_factory.mktemp("site"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(delivery, "BATCH", batch)
        n_ended, since, there = 0, 0, {}
        for states, seed, passes in runs:
            # What ended before the time from which incidents are told stays as it is.
            since += passes
            there |= {i: state for i, state in enumerate(states) if i >= since}
            rows = [(f"d{i}", i, i + 1, state) for i, state in there.items() if state != "gone"]
            site.put(*rows)
            random = Random(seed)
            sinks = [
                Mortal(site.sink, random.randint(1, 8), random.random() < 0.5)
                if random.random() < 0.6
                else site.sink
                for _ in range(random.randint(1, 3))
            ]
            n_ended += len(sinks)
            side_by_side(site, [site.run(since, sink) for sink in sinks], random)
        site.notify(since)

    received = Counter(event for event, _ in site.got())
    assert received.total() - len(received) <= batch * n_ended
    told: dict[str, dict[int, str]] = {}
    for event, change in site.got():
        incident, number = event.rsplit("-", 1)
        assert told.setdefault(incident, {}).setdefault(int(number), change) == change
    for changes in told.values():
        assert sorted(changes) == list(range(1, len(changes) + 1))
    last = {incident: changes[len(changes)] for incident, changes in told.items()}
    words = {"open": "opened", "closed": "closed"}
    for i, state in there.items():
        incident = f"d{i}@{i}"
        if state != "gone":
            assert last.get(incident) == words[state] or (incident not in last and i < since)
        else:
            assert last.get(incident, "withdrawn") == "withdrawn"
    ledger = Ledger.read(site.ledger.load())
    assert ledger.pending("recorder").size == 0


def side_by_side(site: Site, runs: list[Iterator[Update]], random: Random) -> None:
    """Let runs go on in any order; each may be killed before or after a commit."""
    while runs:
        run = random.choice(runs)
        try:
            update = next(run, None)
        except Killed:
            update = None
        if update is None or random.random() < 0.1:
            runs.remove(run)
            continue
        site.ledger.save(update)
        if random.random() < 0.1:
            runs.remove(run)


@pytest.mark.parametrize(
    "columns",
    [["warming_up"], ["at", "opened_at", "silenced_by", "message_id"], ["warming_up", "at", "message_id"]],
)
def test_what_was_sent_before_a_column_existed_is_not_sent_again(site, columns):
    site.put(("a", 0, 1, "open"))
    site.notify()
    site.ledger.change(lambda rows: rows.drop_columns(columns))
    site.put(("a", 0, 1, "closed"), ("b", 0, 1, "open"))
    site.notify()
    assert site.got() == [("a@0-1", "opened"), ("a@0-2", "closed"), ("b@0-1", "opened")]
    site.notify()
    assert len(site.got()) == 3
