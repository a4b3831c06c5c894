"""A wrong setting is one clear sentence; the shipped ones are those of the code."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Network, collapse_addresses
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st
from kedro.framework.startup import bootstrap_project

from batch_scoring.cli import cli
from batch_scoring.core.errors import InputError
from batch_scoring.deploy.durations import cron, iso_duration, recurrence
from batch_scoring.deploy.names import names_of
from batch_scoring.deploy.settings import DeployParameters, NetworkSettings, read_settings
from tests.emulators.container_apps.service import fits

PROJECT = Path(__file__).parents[2]

# What is set below `deploy`, and what is said: the setting, what it is, and what to write.
WRONG = {
    "name=Plant_Seven": "name: 'Plant_Seven'",
    "name=a-name-far-too-long-for-a-storage-account": "name: 'a-name-far-too-long-for",
    "subscripton=abc": "subscripton: there is no such setting; did you mean 'subscription'?",
    "subscription=my-subscription": "subscription: 'my-subscription'",
    "location=West Europe": "location: 'West Europe'",
    "compute=kubernetes": "compute: 'kubernetes' is not valid; expected one of 'azure_batch', 'cont",
    "compute=batch_ai": "nodes.ssh_public_key: this setting is missing",
    "schedule.every=90s": "schedule.every: 1m30s is not valid; expected whole minutes",
    "schedule.wait=2h": "schedule.wait: 2h is not between 0 and deploy.schedule.every (1h)",
    "retrain.wait=8d": "retrain.wait: 8d is not between 0 and deploy.retrain.every (7d); one",
    "scheduler.memory_gb=64": "scheduler.memory_gb: 64",
    "scheduler.kind=cron": "scheduler.kind: 'cron' is not valid; expected one of 'container_app_job'",
    "scheduler.cpu=0.3": "scheduler.cpu: 0.3 is not valid; expected 0.25 to 4 cores, in steps of 0.25",
    "schedule.every=7h": "schedule.every: 7h is not valid with deploy.scheduler.kind 'container_app_job'",
    "container_apps.cpu=8": "container_apps.cpu: 8.0 is not valid; expected 0.25 to 4 cores",
    "image.repository=Acme/Scoring": "image.repository: 'Acme/Scoring'",
    "image.tag=v 1": "image.tag: 'v 1'",
    "event_hub.partitions=64": "event_hub.partitions: 64 is not valid; expected 1 to 32",
    "event_hub.capture=yes please": "event_hub.capture: expected true or false, got 'yes please'",
    "iot_hub.units=0": "iot_hub.units: 0 is not valid; expected 1 to 200",
    "stream_analytics.streaming_units=4": "stream_analytics.streaming_units: 4",
    "storage.container=Data": "storage.container: 'Data'",
    "storage.soft_delete_days=0": "storage.soft_delete_days: 0 is not valid; expected 1 to 365",
    "nodes.min_nodes=20": "nodes.min_nodes: 20 is not valid; expected 0 to 10",
    "nodes.tasks_per_node=9": "nodes.tasks_per_node: 9 is not valid; expected 1 to 8",
    "nodes.ssh_public_key=secret": "nodes.ssh_public_key: this is not",
    "nodes.vm_image=ubuntu": "nodes.vm_image: 'ubuntu'",
    "network.access=closed": "network.access: 'closed' is not valid; expected one of 'public', 'private'",
    "network.addresses=10.20.0.0/28": "network.addresses: '10.20.0.0/28' is not valid; expected a private",
    "network.addresses=8.8.8.0/24": "network.addresses: '8.8.8.0/24' is not valid; expected a private",
    "network.allowed=[10.1.2.3]": "network.allowed: '10.1.2.3' is not valid; expected a public",
    "network.allowed=[203.0.113.7/31]": "network.allowed: '203.0.113.7/31' is not valid; expected a",
    "alerts.email=me": "alerts.email: 'me'",
    "arm_endpoint=http://management.azure.com": "arm_endpoint: this is not valid; expected https://HOST",
    "tracking_uri=https://me:pw@host": "tracking_uri: this is not valid; expected https://HOST",
    "log_retention_days=7": "log_retention_days: 7 is not valid; expected 30 to 730",
    "resource_group=rg.": "resource_group: 'rg.'",
    "names.registri=acme": "names.registri: there is no such resource; did you mean 'registry'?",
    "names.registry=acme-registry": "names.registry: 'acme-registry'",
    "names.storage_account=aNameThatIsTooLongForOneStorageAccount": "names.storage_account: 'aName",
}


@pytest.mark.parametrize(("wrong", "said"), WRONG.items())
def test_a_wrong_setting_is_one_sentence(wrong, said):
    key, _, value = wrong.partition("=")
    values: dict = {}
    *groups, name = key.split(".")
    inner = values
    for group in groups:
        inner = inner.setdefault(group, {})
    inner[name] = yaml.safe_load(value)
    with pytest.raises(InputError) as error:
        names_of(read_settings({"deploy": values}))
    assert str(error.value).startswith(f"deploy.{said}")
    assert "\n" not in str(error.value) and "pw" not in str(error.value)


def test_no_fewer_settings_are_refused_than_in_the_first_deployment():
    """29 sentences then; a check that goes is to be replaced."""
    assert len(WRONG) >= 29


def test_a_private_network_is_for_azure_batch_and_as_many_nodes_as_have_an_address():
    private = {"access": "private", "addresses": "10.20.0.0/24"}
    by_workflow = {"network": private, "scheduler": {"kind": "logic_app"}}
    assert read_settings({"deploy": {**by_workflow, "nodes": {"max_nodes": 123}}})
    for other in ({"network": private}, {**by_workflow, "compute": "container_apps"}):
        with pytest.raises(InputError, match="'private' is not valid with Container Apps"):
            read_settings({"deploy": other})
    with pytest.raises(InputError, match=r"^deploy\.network\.addresses: .* has addresses for 123 nodes, and"):
        read_settings({"deploy": {**by_workflow, "nodes": {"max_nodes": 124}}})
    nodes = {"ssh_public_key": "ssh-ed25519 AAAA"}
    with pytest.raises(
        InputError, match=r"^deploy\.network\.access: 'private' is not valid with deploy\.compute"
    ):
        read_settings({"deploy": {"network": private, "compute": "batch_ai", "nodes": nodes}})


@given(st.integers(8, 24))
def test_the_subnets_share_the_network_and_nothing_more(prefix):
    network = IPv4Network(f"10.0.0.0/{prefix}")
    subnets = NetworkSettings(addresses=str(network)).subnets
    assert set(collapse_addresses(subnets.values())) == {network}
    assert sum(one.num_addresses for one in subnets.values()) == network.num_addresses


@pytest.mark.parametrize(
    "command", [["check"], ["template", "--output", "written"]], ids=["check", "template"]
)
@pytest.mark.parametrize("wrong", ["name=Plant_Seven", "subscripton=abc"])
def test_a_wrong_setting_ends_the_command_with_one_line_and_nothing_is_made(
    command, wrong, monkeypatch, tmp_path
):
    bootstrap_project(PROJECT)
    monkeypatch.chdir(PROJECT)
    command = [str(tmp_path / one) if one == "written" else one for one in command]
    done = CliRunner().invoke(cli, ["deploy", *command, "--params", f"deploy.{wrong}"])
    assert done.exit_code == 1
    assert done.output.startswith(f"Error: deploy.{WRONG[wrong]}")
    assert done.output.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_the_shipped_settings_are_those_of_the_code():
    shipped = yaml.safe_load((PROJECT / "conf/base/parameters_deploy.yml").read_text("utf-8"))
    assert read_settings(shipped) == DeployParameters()
    azure = yaml.safe_load((PROJECT / "conf/azure/parameters_deploy.yml").read_text("utf-8"))
    assert read_settings(azure) == DeployParameters()


def test_whoever_speaks_to_azure_needs_a_subscription():
    with pytest.raises(InputError, match=r"deploy\.subscription: this setting is missing; write the 'id'"):
        DeployParameters().require_subscription()


LENGTHS = {
    "Week": timedelta(weeks=1),
    "Day": timedelta(days=1),
    "Hour": timedelta(hours=1),
    "Minute": timedelta(minutes=1),
}
LONGEST = {"Week": 71, "Day": 500, "Hour": 12000, "Minute": 72000}


@given(st.integers(1, 2000), st.sampled_from([1, 60, 1440, 10080]))
def test_a_recurrence_is_as_long_as_it_was_set_and_within_what_the_service_counts(count, minutes):
    every = timedelta(minutes=count * minutes)
    try:
        found = recurrence(every, "deploy.schedule.every")
    except InputError:
        assert every > timedelta(days=50)
        return
    assert LENGTHS[found["frequency"]] * found["interval"] == every
    assert found["interval"] <= LONGEST[found["frequency"]]


@pytest.mark.parametrize("minutes", [10, 15, 30, 60, 180, 360, 720, 1440, 10080])
def test_a_cron_fires_as_often_as_it_was_set_and_never_else(minutes):
    expression, sunday = cron(timedelta(minutes=minutes), "every"), datetime(2026, 1, 4, tzinfo=UTC)
    fired = [n for n in range(10080) if fits(expression, sunday + timedelta(minutes=n))]
    assert fired == list(range(5, 10080, minutes))


@given(st.integers(0, 10**7))
def test_a_length_of_time_in_iso_8601_is_as_long(seconds):
    text = iso_duration(timedelta(seconds=seconds))
    parts = re.fullmatch(r"P(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:(\d+)S)?)?", text)
    days, hours, minutes, rest = (int(one or 0) for one in parts.groups())
    assert timedelta(days=days, hours=hours, minutes=minutes, seconds=rest) == timedelta(seconds=seconds)
    assert not text.endswith(("P", "T"))
