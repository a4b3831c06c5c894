"""Versions, and which one is scored: a page to confirm, then the registry's own command."""

import re
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from batch_scoring.server.registry import Ended
from tests.reporting.fleet_factory import fleet_of, prediction_rows
from tests.server.sites import copy_of, site_of


@pytest.fixture(scope="module")
def one_device():
    with site_of(fleet_of(prediction_rows("a", "flow", [1.0, 2.0] * 40)), with_models=True) as made:
        yield made


@pytest.fixture
def site(one_device):
    with copy_of(one_device) as made:
        shared = {
            "models": 1,
            "trained_from": "2026-01-05T00:00Z",
            "trained_to": None,
            "flag_rate": 0.001,
            "run": "r",
        }
        made.versions = [
            {"sensor": "flow", "version": "4", "alias": "", **shared},
            {"sensor": "flow", "version": "3", "alias": "champion", **shared},
            {"sensor": "flow", "version": "2", "alias": "previous", **shared},
        ]
        yield made


@pytest.fixture
def client(site):
    with site.client() as opened:
        yield opened


def send(client, **fields):
    page = client.get("/models/confirm?do=rollback&sensor=flow").text
    return client.post("/models", data={"csrf": re.search(r'name="csrf" value="(\w+)"', page)[1], **fields})


def test_the_champions_show_without_asking_the_registry(client, site):
    text = client.get("/models").text
    assert "version 3" in text
    assert site.asked == []


def test_the_versions_are_asked_for_once(client, site):
    for _ in range(3):
        assert "Promote" in client.get("/models/versions").text
    assert site.asked == [["list", "--json"]]


def test_only_a_champion_with_a_version_before_it_is_rolled_back(client, site):
    text = client.get("/models/versions").text
    (link,) = re.findall(r'href="([^"]*do=rollback[^"]*)"', text)
    assert "to version 2" in text
    assert client.get(link.replace("&amp;", "&")).status_code == 200
    site.versions = site.versions[:2]
    with site.client() as other:
        assert "do=rollback" not in other.get("/models/versions").text


def test_who_promotes_is_in_the_log(client, caplog):
    with caplog.at_level("WARNING"):
        send(client, do="promote", sensor="flow", version="4")
    assert "ada: promote flow 4" in caplog.text


def test_a_confirmation_shows_both_versions_and_changes_nothing(client, site):
    text = client.get("/models/confirm?do=promote&sensor=flow&version=4").text
    assert re.search(r"Version</th><td>(\d)</td><td>(\d)</td>", text).groups() == ("3", "4")
    assert text.count("<td>5 Jan 2026 00:00 to –</td>") == 2
    assert site.asked == [["list", "--json"]]


def test_a_promotion_and_a_rollback_are_the_commands(client, site):
    assert (
        send(client, do="promote", sensor="flow", version="4").headers["location"] == "/models?done=promote"
    )
    assert send(client, do="rollback", sensor="flow").headers["location"] == "/models?done=rollback"
    changes = [one for one in site.asked if one[0] != "list"]
    assert changes == [["promote", "--", "flow", "4"], ["rollback", "--", "flow"]]


def test_an_id_is_never_an_option_of_the_command(client, site):
    send(client, do="rollback", sensor="--env=evil")
    assert site.asked[-1] == ["rollback", "--", "--env=evil"]


def test_the_sentence_of_the_command_is_shown(client, site):
    page = client.get("/models/confirm?do=rollback&sensor=flow").text
    site.refusal = "a line before\nError: sensor 'flow' has no previous champion"
    fields = {"csrf": re.search(r'name="csrf" value="(\w+)"', page)[1], "do": "rollback", "sensor": "flow"}
    answer = client.post("/models", data=fields)
    assert answer.status_code == 400
    assert "has no previous champion" in answer.text
    assert "a line before" not in answer.text


HALF = ["", "do=promote&sensor=flow", "do=promote&sensor=flow&version=champion", "do=x", "do=rollback"]


@pytest.mark.parametrize("query", HALF)
def test_half_a_change_is_refused(client, query):
    assert client.get(f"/models/confirm?{query}").status_code == 400


def test_a_version_that_is_not_there_is_said_so(client):
    assert client.get("/models/confirm?do=promote&sensor=flow&version=9").status_code == 404


def test_nobody_waits_for_those_who_wait_for_mlflow(client, site, monkeypatch):
    is_free = threading.Event()

    def slow(arguments):
        assert is_free.wait(60)
        return Ended(0, "[]", "")

    monkeypatch.setattr(site, "slow", slow)
    with ThreadPoolExecutor(8) as pool:
        waiting = [pool.submit(client.get, "/models/versions") for _ in range(8)]
        assert [client.get(path).status_code for path in ("/", "/models", "/version")] == [200] * 3
        assert not any(one.done() for one in waiting)
        is_free.set()
        assert [one.result().status_code for one in waiting] == [200] * 8
