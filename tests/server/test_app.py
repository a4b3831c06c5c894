"""A storage that is away for a while is a sentence on a page, and the server finds it again."""

import errno
import os
from pathlib import Path

import pytest

from batch_scoring.server import app
from batch_scoring.storage.local import LocalFolder
from tests.server.sites import Site, copy_of
from tests.waiting import wait_for


@pytest.fixture
def away(monkeypatch) -> set[int]:
    """Errors that every look at a local file has while they are there."""
    numbers: set[int] = set()
    entry = LocalFolder.entry

    def look(folder, name):
        for number in numbers:
            raise OSError(number, os.strerror(number), name)
        return entry(folder, name)

    monkeypatch.setattr(LocalFolder, "entry", look)
    monkeypatch.setattr(app, "SECONDS_BETWEEN_LOOKS", 0.001)
    return numbers


def test_a_storage_that_goes_away_comes_back(small_site: Site, away):
    with small_site.client() as client:
        wait_for(lambda: client.get("/version").text)
        known = client.get("/version").text
        away.add(errno.ESTALE)
        wait_for(lambda: client.get("/version").text != known)
        answer = client.get("/incidents")
        assert (answer.status_code, "stale file handle); mount it again" in answer.text) == (503, True)
        away.clear()
        wait_for(lambda: client.get("/version").text == known)
        assert client.get("/incidents").status_code == 200


def test_a_damaged_table_stops_only_the_pages_that_show_it(small_site: Site):
    with copy_of(small_site) as site:
        for file in Path(site.tables["device_incidents"].folder.path()).glob("_delta_log/*.json"):
            file.write_text("{")
        with site.client() as client:
            answer = client.get("/incidents")
            assert (answer.status_code, "this table cannot be read" in answer.text) == (400, True)
            assert client.get("/models").status_code == 200
