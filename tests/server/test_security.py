"""What an attacker would try, one test each: nothing is left open."""

import re

import anyio
import pytest

from batch_scoring.server.access import decide_access
from batch_scoring.server.security import MAX_FORM
from tests.server.conftest import HOSTILE

TOKEN = "0123456789abcdef0123"
PAGES = ["/", "/device?id=pump-1", "/?q=pump&order=name&range=1d", "/nothing", "/device?id=none"]


def csrf_of(text):
    return re.search(r'name="csrf" value="([0-9a-f]{64})"', text)[1]


@pytest.mark.parametrize("path", PAGES)
def test_every_answer_forbids_foreign_scripts_frames_and_caches(client, path):
    headers = client.get(path).headers
    policy = headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["cache-control"] == "no-store"
    assert headers["referrer-policy"] == "same-origin"


@pytest.mark.parametrize("path", PAGES)
def test_no_page_has_a_script_or_style_of_its_own(client, path):
    text = client.get(path).text
    assert re.findall(r"<script(?![^>]*(?: src=|application/json))|<style|\sstyle=|\son\w+=", text) == []


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:8050", "", "127.0.0.1.evil.example", "127.0.0.1:x"]
)
def test_a_name_that_was_pointed_here_is_refused(client, host):
    assert client.get("/", headers={"host": host}).status_code == 421


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost:9", "LOCALHOST"])
def test_this_machine_by_its_names_is_served(client, host):
    assert client.get("/version", headers={"host": host}).status_code == 200


def test_ids_are_escaped_wherever_they_show(client):
    for path in ("/", "/device", f"/?q={HOSTILE}&order=name"):
        answer = client.get(path, params={"id": HOSTILE} if path == "/device" else None)
        assert answer.status_code == 200
        assert "<script>alert" not in answer.text
        assert "alert(1)" in answer.text


def test_an_unknown_id_is_escaped_too(client):
    answer = client.get("/device", params={"id": "<img src=x onerror=alert(1)>"})
    assert answer.status_code == 404
    assert "<img" not in answer.text


@pytest.mark.parametrize(
    "path",
    [
        "/assets/../../app.py",
        "/assets/..%2f..%2fapp.py",
        "/assets/%2e%2e/server.css",
        "/assets/base.html",
        "/../../etc/passwd",
        "/device/../../etc/passwd",
        "/assets/fleet.js",
    ],
)
def test_no_path_leads_out_of_the_assets(client, path):
    assert client.get(path).status_code == 404


@pytest.mark.parametrize(
    "name", ["../../etc/passwd", "..\\..\\x", "a\0b", "%2e%2e", "' OR 1=1 --", "*", "\n"]
)
def test_an_id_is_no_path_and_no_query(client, name):
    assert client.get("/device", params={"id": name}).status_code in (400, 404)


@pytest.mark.parametrize(
    "query",
    [
        "page=-1",
        "page=99999999999999999999",
        "page=1e3",
        "range=100y",
        "order=drop",
        "from=yesterday",
        "to=99999-01-01",
        "q=" + "a" * 201,
        "level=x",
        "sensor=none",
        "state=%00",
    ],
)
def test_what_is_not_valid_is_said_and_not_guessed(client, query):
    answer = client.get(f"/?{query}")
    assert answer.status_code == 400
    assert "Traceback" not in answer.text


@pytest.mark.parametrize(
    "path",
    [
        "/?from=0001-01-01",
        "/?to=0001-01-01",
        f"/?page=000000000001{'9' * 3000}",
        "/device?id=pump-1&from=0001-01-01",
        "/device?id=pump-1&to=0001-01-01",
        "/device?id=pump-1&from=9999-12-31T23:59:59",
        f"/incidents?page=000000000001{'9' * 3000}",
    ],
)
def test_a_time_or_a_number_out_of_all_bounds_is_refused(client, path):
    assert client.get(path).status_code == 400


@pytest.mark.parametrize("edge", ["to=1970-01-01", "from=1970-01-01", "from=2199-12-31T23:59:59"])
def test_the_first_and_the_last_time_are_shown(client, edge):
    assert client.get(f"/device?id=pump-1&{edge}").status_code == 200


def test_a_huge_range_and_a_huge_page_are_bounded(client):
    assert client.get("/?from=1970-01-02&to=2199-01-01&page=1000000").status_code == 200
    answer = client.get("/device?id=pump-1&from=1970-01-02&to=2199-01-01")
    assert answer.status_code == 200
    assert len(answer.content) < 200_000


def test_a_long_url_is_refused(client):
    assert client.get("/?q=" + "a" * 5000).status_code == 414


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"])
def test_other_methods_are_refused(client, method):
    assert client.request(method, "/").status_code == 405


class TestToken:
    @pytest.fixture
    def guarded(self, small_site):
        with small_site.client(decide_access("0.0.0.0", token=TOKEN)) as opened:
            yield opened

    @pytest.mark.parametrize("path", ["/", "/device?id=pump-1", "/offline", "/nothing"])
    def test_without_the_token_a_page_asks_for_it(self, guarded, path):
        answer = guarded.get(path)
        assert answer.status_code == 303
        assert answer.headers["location"].startswith("/sign-in?to=")
        assert "pump" not in answer.text

    @pytest.mark.parametrize("given", ["Bearer wrong", "Bearer", "Basic " + TOKEN, TOKEN])
    def test_a_wrong_token_in_a_header_is_none(self, guarded, given):
        assert guarded.get("/version", headers={"authorization": given}).status_code == 401
        assert guarded.get("/version", headers={"cookie": f"fleet_session={TOKEN}"}).status_code == 401

    def test_a_program_sends_the_token_in_a_header(self, guarded):
        assert guarded.get("/version", headers={"authorization": f"Bearer {TOKEN}"}).status_code == 200

    def test_a_person_signs_in_once(self, guarded):
        form = {"token": TOKEN, "who": "Ada", "to": "/?q=pump", "csrf": csrf_of(guarded.get("/sign-in").text)}
        answer = guarded.post("/sign-in", data=form)

        assert (answer.status_code, answer.headers["location"]) == (303, "/?q=pump")
        cookie = next(one for one in answer.headers.get_list("set-cookie") if one.startswith("fleet_session"))
        assert "HttpOnly" in cookie
        assert "SameSite=Strict" in cookie
        assert TOKEN not in cookie
        assert "Ada" in guarded.get("/").text

    def test_a_person_signs_out_and_a_copy_of_the_cookie_is_worth_nothing(self, guarded):
        form = {"token": TOKEN, "who": "Ada", "csrf": csrf_of(guarded.get("/sign-in").text)}
        guarded.post("/sign-in", data=form)
        stolen = {"cookie": f"fleet_session={guarded.cookies['fleet_session']}"}
        page = guarded.get("/").text
        assert 'action="/sign-out"' in page
        assert guarded.post("/sign-out").status_code != 303  # without our mark
        assert guarded.get("/").status_code == 200

        answer = guarded.post("/sign-out", data={"csrf": csrf_of(page)})

        assert (answer.status_code, answer.headers["location"]) == (303, "/sign-in")
        assert {"fleet_session", "fleet_who"}.isdisjoint(guarded.cookies)
        assert guarded.get("/", headers=stolen).status_code == 303

    def test_who_has_not_signed_in_sees_no_workspace(self, guarded):
        assert "a made-up fleet" not in guarded.get("/sign-in").text

    def test_a_wrong_token_signs_nobody_in(self, guarded):
        form = {"token": "wrong", "csrf": csrf_of(guarded.get("/sign-in").text)}
        answer = guarded.post("/sign-in", data=form)
        assert answer.status_code == 403
        assert "fleet_session" not in answer.headers.get("set-cookie", "")
        assert guarded.get("/").status_code == 303

    @pytest.mark.parametrize(
        "to", ["//evil.example", "https://evil.example", "/\\evil.example", "javascript:alert(1)"]
    )
    def test_signing_in_leads_nowhere_else(self, guarded, to):
        form = {"token": TOKEN, "to": to, "csrf": csrf_of(guarded.get("/sign-in").text)}
        assert guarded.post("/sign-in", data=form).headers["location"] == "/"

    def test_a_form_of_another_site_is_refused(self, guarded):
        form = {"token": TOKEN, "csrf": csrf_of(guarded.get("/sign-in").text)}
        for headers in (
            {"origin": "https://evil.example"},
            {"origin": "null"},
            {"sec-fetch-site": "cross-site"},
            {"sec-fetch-site": "same-site"},
        ):
            assert guarded.post("/sign-in", data=form, headers=headers).status_code == 403
        assert (
            guarded.post("/sign-in", data=form, headers={"origin": "http://127.0.0.1:8050"}).status_code
            == 303
        )

    @pytest.mark.parametrize("csrf", ["", "0" * 64, "é"])
    def test_a_form_without_our_mark_is_refused(self, guarded, csrf):
        guarded.get("/sign-in")
        assert guarded.post("/sign-in", data={"token": TOKEN, "csrf": csrf}).status_code == 403

    @pytest.mark.parametrize("foreign", ['prefs={"a": 1}', "a/b=1", "=;;", 'x="', "é=ü"])
    def test_a_cookie_of_another_program_breaks_no_form(self, guarded, foreign):
        first = guarded.get("/sign-in")
        visitor = re.search("fleet_visitor=([0-9a-f]{32})", first.headers["set-cookie"])[1]
        guarded.cookies.clear()
        cookie = f"{foreign}; fleet_visitor={visitor}".encode()
        form = {"token": TOKEN, "csrf": csrf_of(first.text)}
        assert guarded.post("/sign-in", data=form, headers={"cookie": cookie}).status_code == 303

    def test_the_mark_of_another_visitor_is_refused(self, guarded, small_site):
        with small_site.client(decide_access("0.0.0.0", token=TOKEN)) as other:
            mark = csrf_of(other.get("/sign-in").text)
        guarded.get("/sign-in")
        assert guarded.post("/sign-in", data={"token": TOKEN, "csrf": mark}).status_code == 403

    def test_large_and_strange_forms_are_refused(self, guarded):
        page = guarded.get("/sign-in")
        form = {"token": TOKEN, "csrf": csrf_of(page.text)}
        kind = {"content-type": "application/x-www-form-urlencoded"}
        assert guarded.post("/sign-in", data=form | {"who": "a" * MAX_FORM}).status_code == 413
        assert guarded.post("/sign-in", json=form).status_code == 415
        assert guarded.post("/sign-in", content=b"a=1&" * 50, headers=kind).status_code == 400
        assert guarded.post("/sign-in", content=b"\xff\xfe", headers=kind).status_code == 400
        assert guarded.post("/sign-in", files={"token": b"x"}).status_code == 415


def test_a_form_that_does_not_end_is_not_waited_for(small_site, monkeypatch):
    monkeypatch.setattr("batch_scoring.server.security.FORM_SECONDS", 0.05)
    app, sent = small_site.app(decide_access("127.0.0.1")), []
    kind = (b"content-type", b"application/x-www-form-urlencoded")
    scope = {"type": "http", "method": "POST", "path": "/models", "query_string": b"", "scheme": "http"}

    async def send(message):
        sent.append(message)

    anyio.run(app, scope | {"headers": [(b"host", b"127.0.0.1"), kind]}, anyio.sleep_forever, send)
    assert sent[0]["status"] == 408


class TestProxy:
    @pytest.fixture
    def behind(self, small_site):
        access = decide_access("0.0.0.0", proxy_header="X-Signed-In")
        with small_site.client(access) as opened:
            yield opened

    def test_without_the_header_nobody_is_let_in(self, behind):
        assert behind.get("/version").status_code == 401
        assert behind.get("/version", headers={"x-signed-in": "  "}).status_code == 401

    def test_the_header_names_the_person(self, behind):
        assert "Grace" in behind.get("/", headers={"x-signed-in": "Grace"}).text

    def test_who_may_only_look_does_not_act(self, small_site):
        access = decide_access(
            "0.0.0.0", proxy_header="X-Signed-In", may_act=["group:shift", "ada"], groups_header="X-Groups"
        )
        with small_site.client(access) as opened:
            for person, groups, may in (
                ("grace", "office, visitors", False),
                ("grace", "office,shift", True),
                ("ada", "", True),
                ("shift", "", False),  # a person of this name
            ):
                headers = {"x-signed-in": person, "x-groups": groups}
                page = opened.get("/incidents/silences", headers=headers)
                assert ("who may look and not act" not in page.text) is may
                form = {"csrf": csrf_of(page.text), "device": "pump-1", "for": "1 hour"}
                answer = opened.post("/incidents/silences", data=form, headers=headers)
                assert answer.status_code == (303 if may else 403), answer.text

    def test_who_may_act_is_known_by_the_whole_name(self, small_site):
        longest = "a" * 60
        access = decide_access("0.0.0.0", proxy_header="X-Signed-In", may_act=[longest, "b" * 70])
        with small_site.client(access) as opened:
            for person, may in ((longest, True), (longest + "@evil.example", False), ("b" * 70, True)):
                text = opened.get("/incidents/silences", headers={"x-signed-in": person}).text
                assert ("who may look and not act" not in text) is may

    def test_a_name_beside_that_of_the_proxy_is_refused(self, behind):
        both = [("x-signed-in", "ada"), ("x-signed-in", "mallory")]
        assert behind.get("/", headers=both, follow_redirects=False).status_code == 303
        assert behind.get("/version", headers=both).status_code == 401

    def test_a_name_with_markup_is_escaped(self, behind):
        assert "<b>" not in behind.get("/", headers={"x-signed-in": "<b>x</b>"}).text


def test_nobody_reads_over_a_web_socket(small_site):
    with small_site.client() as client, pytest.raises(Exception), client.websocket_connect("/"):  # noqa: B017
        pass


def test_an_error_shows_no_traceback(small_site, monkeypatch):
    def broken(*_):
        raise RuntimeError("secret detail")

    monkeypatch.setattr("batch_scoring.server.pages.shared.read_totals", broken)
    with small_site.client(raise_server_exceptions=False) as client:
        answer = client.get("/")
    assert answer.status_code == 500
    assert "secret detail" not in answer.text
    assert answer.headers["content-security-policy"].startswith("default-src 'none'")
