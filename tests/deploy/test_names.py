"""Names are always what Azure takes, are the same for the same settings, and nobody else's."""

from __future__ import annotations

import re
from dataclasses import asdict

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batch_scoring.core.errors import InputError
from batch_scoring.deploy.names import Names, names_of
from batch_scoring.deploy.settings import DeployParameters

GLOBAL = ("storage_account", "key_vault", "registry", "event_hub_namespace", "batch_account")
# As Azure's documentation has them, written down here once more.
RULES = {
    "storage_account": r"[a-z0-9]{3,24}",
    "key_vault": r"(?!.*--)[A-Za-z][A-Za-z0-9-]{1,22}[A-Za-z0-9]",
    "registry": r"[A-Za-z0-9]{5,50}",
    "event_hub_namespace": r"[A-Za-z][A-Za-z0-9-]{4,48}[A-Za-z0-9]",
    "batch_account": r"[a-z0-9]{3,24}",
    "stream_job": r"[A-Za-z0-9_-]{3,63}",
    "log_workspace": r"[A-Za-z0-9][A-Za-z0-9-]{2,61}[A-Za-z0-9]",
    "score_workflow": r"[\w.()-]{1,43}",
    "resource_group": r"[\w.()-]{0,89}[\w()-]",
}
deployment_names = st.from_regex(r"[a-z](-?[a-z0-9]){1,13}", fullmatch=True).filter(
    lambda one: len(one) <= 14
)


@given(deployment_names)
def test_every_name_that_may_be_set_makes_names_that_azure_takes(name):
    names = asdict(names_of(DeployParameters(name=name)))
    for key, pattern in RULES.items():
        assert re.fullmatch(pattern, names[key], re.ASCII), key


def test_another_subscription_group_or_name_makes_other_names_of_what_is_known_to_all():
    ids = ("00000000-0000-0000-0000-000000000001", "00000000-0000-0000-0000-000000000002")
    settings = [
        DeployParameters(subscription=subscription, resource_group=group, name=name)
        for subscription in ids
        for group in ("rg-a", "rg-b")
        for name in ("a-b", "ab")
    ]
    made = [names_of(one) for one in settings]
    for key in GLOBAL:
        assert len({getattr(one, key) for one in made}) == len(settings)
    assert [names_of(one) for one in settings] == made


def test_upper_and_lower_case_of_a_group_make_the_same_names_as_azure_does_not_tell_them_apart():
    lower, upper = (names_of(DeployParameters(resource_group=group)) for group in ("rg-a", "RG-A"))
    assert [getattr(lower, key) for key in GLOBAL] == [getattr(upper, key) for key in GLOBAL]


def test_a_name_may_be_given_in_place_of_the_one_that_is_made():
    names = names_of(DeployParameters(names={"registry": "acmescoring"}))
    assert (names.registry, names.key_vault) == ("acmescoring", names_of(DeployParameters()).key_vault)


@pytest.mark.parametrize("key", sorted(set(Names.__dataclass_fields__) - {"resource_group"}))
def test_a_given_name_against_the_rules_is_refused(key):
    with pytest.raises(InputError, match=rf"deploy\.names\.{key}: '.*' is not valid; expected "):
        names_of(DeployParameters(names={key: "no name!"}))
