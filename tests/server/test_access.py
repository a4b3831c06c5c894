import pytest

from batch_scoring.core.errors import InputError
from batch_scoring.server.access import decide_access

LONG = "0123456789abcdef"


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.1.5", "::", "fleet.example"])
def test_any_other_address_needs_a_token_or_a_proxy(host):
    with pytest.raises(InputError, match="--token"):
        decide_access(host)

    assert decide_access(host, token=LONG).token == LONG
    assert decide_access(host, proxy_header="X-User").proxy_header == "x-user"


def test_a_short_token_is_refused():
    with pytest.raises(InputError, match="--token"):
        decide_access("0.0.0.0", token="secret")


def test_a_token_and_a_proxy_exclude_each_other():
    with pytest.raises(InputError, match="--proxy-header"):
        decide_access("0.0.0.0", token=LONG, proxy_header="X-User")


def test_the_names_are_those_of_this_machine_and_those_given():
    access = decide_access("10.0.0.5", token=LONG, names=["Fleet.Example"])
    assert {"10.0.0.5", "fleet.example", "localhost", "127.0.0.1"} <= access.names
    assert "evil.example" not in access.names


def test_the_cookie_does_not_hold_the_token():
    assert LONG not in decide_access("127.0.0.1", token=LONG).session
