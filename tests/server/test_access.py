import pytest

from batch_scoring.core.errors import InputError
from batch_scoring.server.access import Sessions, decide_access

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


def test_who_may_act_can_only_be_told_behind_a_proxy():
    for more in ({"may_act": ["ada"]}, {"groups_header": "X-Groups"}):
        with pytest.raises(InputError, match="--proxy-header"):
            decide_access("0.0.0.0", token=LONG, **more)
    with pytest.raises(InputError, match="--groups-header"):
        decide_access("0.0.0.0", proxy_header="X-User", groups_header="X-Groups")


def test_people_and_groups_may_act():
    access = decide_access("0.0.0.0", proxy_header="X-User", may_act=["ada", "group:shift"])
    assert access.may_act("ada", [])
    assert access.may_act("grace", ["office", "shift"])
    assert not access.may_act("grace", ["office"])
    assert not access.may_act("shift", [])
    assert not access.may_act("group:shift", [])
    assert decide_access("127.0.0.1").may_act("", [])


def test_who_signs_out_has_to_sign_in_again_and_so_has_the_first_of_very_many():
    sessions = Sessions(at_most=2)
    first, second = sessions.begin(), sessions.begin()
    assert sessions.has(first)
    assert not sessions.has("")
    third = sessions.begin()
    sessions.end(third)
    assert [sessions.has(one) for one in (first, second, third)] == [False, True, False]
