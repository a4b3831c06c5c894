"""What a person does about an incident, and what the next person sees."""

import json
import re
from datetime import UTC, datetime, timedelta
from html import unescape

import pytest

from batch_scoring.operations.verdicts import feedback_of
from batch_scoring.tables.schemas import INCIDENT_ACTIONS, SILENCES
from tests.reporting.fleet_factory import START, fleet_of, prediction_rows, with_stay
from tests.server.sites import copy_of, devices_of, site_of

pytestmark = pytest.mark.slow

N = 60
PUMP = {"device": "pump-1"}


@pytest.fixture(scope="module")
def two_pumps():
    calm = [10.0] * N
    fleet = fleet_of(
        prediction_rows("pump-1", "flow", calm, anomalies=range(N - 20, N), severity=3.0),
        prediction_rows("pump-2", "flow", calm, anomalies=range(10, 30), severity=3.0),
    )
    with site_of(fleet) as made:
        yield made


@pytest.fixture
def site(two_pumps):
    with copy_of(two_pumps) as made:
        yield made


@pytest.fixture
def client(site):
    with site.client() as opened:
        yield opened


def incident_of(client, state="open"):
    return re.search(r'href="(/incidents/[0-9a-f]{16})"', client.get(f"/incidents?state={state}").text)[1]


def post(client, path, **fields):
    csrf = re.search(r'name="csrf" value="([0-9a-f]{64})"', client.get("/incidents/silences").text)[1]
    return client.post(path, data={"csrf": csrf, **fields})


def state_of(client, path):
    return re.search(r'id="state">([a-z]+)<', client.get(path).text)[1]


def test_the_list_counts_states_and_shows_the_open_ones_first(client):
    text = client.get("/incidents").text
    assert re.findall(r">(open|acknowledged|silenced|closed)&nbsp;<b>(\d+)<", text) == [
        ("open", "1"),
        ("acknowledged", "0"),
        ("silenced", "0"),
        ("closed", "1"),
    ]
    assert "pump-1" in text
    assert "pump-2" not in text
    assert "pump-2" in client.get("/incidents?state=closed").text


def test_the_list_and_the_page_say_what_would_have_been_usual(client):
    words = r"most unusual: [^<]+ 10, expected −?[0-9.]+ to −?[0-9.]+ "
    assert re.search(words, client.get("/incidents").text)
    assert re.search(r"10, expected −?[0-9.]+ to", client.get(incident_of(client)).text)


def test_only_what_is_open_is_marked_as_now_and_says_why_it_stands_there(client):
    rows = re.findall(r'<li( class="now")?>(.*?)</li>', client.get("/incidents?state=any").text, re.S)
    assert [bool(is_now) for is_now, _ in rows] == [True, False]
    assert re.search(r"· open: listed as [0-9.]+", rows[0][1])
    assert "listed as" not in rows[1][1]
    assert re.search(r"since 5 Jan 2026 03:20, last 05:00<", rows[0][1])
    assert "5 Jan 2026, 00:50 to 02:30<" in rows[1][1]


def test_a_stay_says_since_when_and_how_long_and_its_chart_begins_before_it():
    fleet = fleet_of(
        prediction_rows("pump-1", "flow", [10.0] * N),
        **with_stay("pump-1", "flow", start=1, may_stay=2.0, until=5),
    )
    with site_of(fleet) as site, site.client() as client:
        words = "for 4 h, expected up to 2 h"
        assert f"stays at one level {words}" in client.get("/incidents").text
        text = client.get(incident_of(client)).text
        assert f"flow since 5 Jan 2026 01:00, {words}" in text
        link = unescape(re.search(r'href="([^"]+)" id="chart-link"', text)[1])
        assert (
            link == "/device?id=pump-1&sensor=flow&from=2026-01-04T22%3A00%3A00Z&to=2026-01-05T08%3A00%3A00Z"
        )
        data = re.search(r'id="report-data"[^>]*>(.*?)</script>', client.get(link).text, re.DOTALL)[1]
        (flow,) = json.loads(data)["series"]
        hours = [START.timestamp() + hour * 3600 for hour in (1, 3, 5)]
        assert flow["stays"] == [[*hours, True]]


def test_where_nothing_is_open_it_says_what_is_over(client):
    post(client, incident_of(client), do="acknowledge", who="ada")
    assert re.search(
        r'No open incident\. <a href="[^"]*state=closed[^"]*">1 is over</a>', client.get("/incidents").text
    )
    assert "is over" not in client.get("/incidents?state=silenced").text


@pytest.mark.parametrize(
    ("query", "there"),
    [
        ("q=PUMP-1", True),
        ("q=flow", True),
        ("q=power", False),
        ("level=low", True),
        ("kind=device_silent", False),
    ],
)
def test_the_list_is_filtered(client, query, there):
    assert ("pump-1" in client.get(f"/incidents?state=any&{query}").text) is there


def test_an_acknowledgement_says_who_and_is_undone(client, site):
    path = incident_of(client)
    answer = post(client, path, do="acknowledge", who="Grace", text="I go and look")

    assert (answer.status_code, answer.headers["location"]) == (303, f"{path}?done=acknowledge")
    page = client.get(answer.headers["location"]).text
    assert state_of(client, path) == "acknowledged"
    assert "I go and look" in page
    assert "Grace" in page
    assert "Undo" in page
    post(client, path, do="unacknowledge")
    assert state_of(client, path) == "open"
    rows = site.tables["incident_actions"].latest().read()
    assert rows.schema == INCIDENT_ACTIONS
    assert rows["who"].to_pylist() == ["Grace", "Grace"]


def test_a_verdict_closes_the_incident_and_is_feedback(client, site):
    path = incident_of(client)
    post(client, path, do="verdict", verdict="false_alarm", text="a test of the valve")

    assert state_of(client, path) == "closed"
    actions = site.tables["incident_actions"].latest().read()
    (row,) = feedback_of(actions).to_pylist()
    assert (row["device"], row["sensor"], row["verdict"]) == ("pump-1", "flow", "false_alarm")
    post(client, path, do="unjudge")
    assert state_of(client, path) == "open"
    assert feedback_of(site.tables["incident_actions"].latest().read()).num_rows == 0


def test_a_verdict_without_a_choice_takes_nothing_back(client, site):
    path = incident_of(client)
    post(client, path, do="verdict", verdict="true_event")
    assert post(client, path, do="verdict").status_code == 400
    assert site.tables["incident_actions"].latest().num_rows == 1


@pytest.mark.parametrize(
    ("origin", "is_back"), [("http://127.0.0.1:8050", True), ("https://evil.example", False), ("", False)]
)
def test_a_form_that_is_refused_leads_back_to_its_page(client, origin, is_back):
    path = incident_of(client)
    client.headers["referer"] = f"{origin}{path}?a=1"
    text = post(client, path, do="comment").text
    assert "Not done" in text
    assert "the comment is empty" in text
    assert (f'href="{path}?a=1"' in text) is is_back


def test_two_people_at_once_overwrite_nothing(client, site):
    path = incident_of(client)
    with site.client() as other:
        post(client, path, do="comment", who="Ada", text="first")
        post(other, path, do="comment", who="Grace", text="second")
        post(client, path, do="acknowledge", who="Ada")
        post(other, path, do="acknowledge", who="Grace")

    text = client.get(path).text
    trail = re.findall(r"<li><b>(\w+)</b>", text)
    assert trail == ["Grace", "Ada", "Grace", "Ada"]
    assert site.tables["incident_actions"].latest().num_rows == 4


def test_a_silence_of_the_device_shows_and_is_revoked(client, site):
    path = incident_of(client)
    post(
        client,
        "/incidents/silences",
        device="pump-1",
        sensor="*",
        group="*",
        incident=path[-16:],
        text="repair",
    )

    page = client.get(f"{path}?done=silence").text
    assert state_of(client, path) == "silenced"
    assert "repair" in page
    assert "Undo" in page
    revoke = re.search(r'action="(/incidents/silences/[0-9a-f]{32})"', page)[1]
    answer = post(client, revoke, incident=path[-16:])
    assert answer.headers["location"] == f"{path}?done=revoke"
    assert state_of(client, path) == "open"
    assert re.findall(r"</b> (revoked a silence|silenced) ", client.get(path).text) == [
        "revoked a silence",
        "silenced",
    ]
    other = incident_of(client, "closed")
    assert "silenced " not in client.get(other).text.partition("Who did what")[2].partition("</section>")[0]
    assert post(client, revoke).status_code == 404
    assert sorted(site.tables["silences"].latest().read()["change"].to_pylist()) == ["revoked", "set"]


def test_a_group_is_silenced_every_week(client, site):
    site.files["devices"] = devices_of(pump_1="north")
    start = datetime.now(UTC) - timedelta(hours=1)
    times = {"start": start.isoformat()[:16], "end": (start + timedelta(hours=3)).isoformat()[:16]}
    answer = post(client, "/incidents/silences", device="*", sensor="*", group="nor*", every="week", **times)

    assert answer.status_code == 303
    (row,) = site.tables["silences"].latest().read().to_pylist()
    assert (row["group"], row["every"], row["until"]) == ("nor*", "week", None)
    assert row["end"] - row["start"] == timedelta(hours=3)
    assert site.tables["silences"].latest().schema == SILENCES
    assert state_of(client, incident_of(client, "silenced")) == "silenced"


@pytest.mark.parametrize(
    "fields",
    [
        {"do": "explode"},
        {"do": "comment", "text": " "},
        {"do": "comment", "text": "a" * 5000},
        {"do": "verdict", "verdict": "maybe"},
        {"do": "verdict"},
        {"do": "acknowledge", "who": "a\0b"},
        {"do": "acknowledge", "who": "a" * 100},
    ],
)
def test_what_is_not_valid_changes_nothing(client, site, fields):
    assert post(client, incident_of(client), **fields).status_code == 400
    assert not site.tables["incident_actions"].latest().exists


@pytest.mark.parametrize(
    "fields",
    [
        {**PUMP, "end": "2020-01-01T00:00"},
        {**PUMP, "start": "2030-01-02T00:00", "end": "2030-01-01T00:00"},
        {**PUMP, "start": "soon"},
        {**PUMP, "for": "1 century"},
        {**PUMP, "every": "month"},
        {"device": "a" * 1001},
        {**PUMP, "start": "9999-12-31T00:00", "for": "30 days"},
        {**PUMP, "start": "2020-01-01T00:00", "every": "week", "until": "2020-02-01T00:00"},
        {"device": " ", "sensor": "flow"},
        {"device": "*", "sensor": "*", "group": "*"},
        {"device": "*?"},
        {"device": "Pump 1"},
        {"device": "Pump-1"},
        {"device": "pump-1", "sensor": "power"},
    ],
)
def test_a_silence_that_is_not_valid_is_not_set(client, site, fields):
    assert post(client, "/incidents/silences", **fields).status_code == 400
    assert not site.tables["silences"].latest().exists


@pytest.mark.parametrize(
    ("fields", "covers"),
    [
        (PUMP, "1 device and 1 incident not"),
        ({"device": "pump-?"}, "2 devices and 1 incident not"),
        ({"device": "pump-2"}, "1 device and 0 incidents not"),
        ({"device": "*", "everything": "yes"}, "2 devices and 1 incident not"),
    ],
)
def test_a_silence_says_what_it_covers(client, fields, covers):
    answer = post(client, "/incidents/silences", **fields)
    assert f"Silenced. It covers {covers} closed." in client.get(answer.headers["location"]).text


@pytest.mark.parametrize("name", ["0" * 16, "..%2f..%2fetc", "x"])
def test_an_incident_that_is_not_listed_is_said_so(client, name):
    assert client.get(f"/incidents/{name}").status_code == 404


def test_comments_and_names_are_escaped(client):
    path = incident_of(client)
    post(client, path, do="comment", who="<b>Eve</b>", text="<img src=x onerror=alert(1)>")
    text = client.get(path).text
    assert "<img" not in text
    assert "<b>Eve" not in text


@pytest.mark.parametrize(
    "fields", [{"who": "Ada\u202e"}, {"who": "Ada\nGrace"}, {"text": "a\x7fb"}, {"text": "a\x85b"}]
)
def test_names_and_comments_hide_nothing(client, fields):
    path = incident_of(client)
    answer = post(client, path, **{"do": "comment", "who": "Ada", "text": "two\nlines", **fields})
    assert answer.status_code == 400
    assert post(client, path, do="comment", who="Ada", text="two\nlines").status_code == 303


def test_what_others_do_changes_the_version(client, site):
    runs, people = site.workspace().version().split("-")
    post(client, incident_of(client), do="acknowledge")
    after = site.workspace().version().split("-")
    assert (after[0] == runs, after[1] == people) == (True, False)


def test_the_chart_of_an_incident_is_around_it(client):
    link = re.search(r'href="([^"]+)" id="chart-link"', client.get(incident_of(client)).text)[1]
    assert link.startswith("/device?id=pump-1&amp;sensor=flow&amp;from=2026-01-05T00%3A20")
