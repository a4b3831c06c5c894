from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import yaml

from batch_scoring.core.errors import InputError
from batch_scoring.core.ids import Selection
from batch_scoring.core.parameters import read_parameters
from batch_scoring.simulation.physics import SENSOR_KINDS
from batch_scoring.simulation.settings import FaultRates, Simulation, simulation_digest
from tests.simulation.fleets import a_simulation


def test_the_configured_defaults_are_those_of_the_code():
    text = (Path(__file__).parents[2] / "conf/base/parameters_simulate.yml").read_text()
    assert read_parameters(Simulation, yaml.safe_load(text)["simulate"], "simulate") == Simulation()
    assert set(Simulation().sensors) == set(SENSOR_KINDS)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"seed": -1}, "simulate.seed: -1 is not valid; expected a whole number"),
        ({"devices": 0}, "simulate.devices: 0 is not"),
        ({"days": 0}, "simulate.days: 0 is not"),
        (
            {"interval": timedelta(minutes=7)},
            "simulate.interval: 7 min is not valid; expected a duration that divides",
        ),
        ({"interval": timedelta(0)}, "simulate.interval: 0 s is not"),
        (
            {"start": datetime(2026, 1, 5, 1, tzinfo=UTC)},
            "simulate.start: 2026-01-05T01:00:00.* expected midnight UTC",
        ),
        ({"duplicate_share": 1.5}, "simulate.duplicate_share: 1.5 is not valid; expected 0 to 1"),
        ({"gaps_per_device_day": -1}, "simulate.gaps_per_device_day: -1 is not valid; expected 0 to 1"),
        ({"faults_in_last_share": 2}, "simulate.faults_in_last_share: 2 is not valid; expected 0 to 1"),
        (
            {"faults_per_device": FaultRates(drift=-1)},
            "simulate.faults_per_device.drift: -1 is not valid; expected 0 or more",
        ),
        ({"sensors": ()}, "simulate.sensors: the list is empty"),
        ({"sensors": ("vibraton",)}, "'vibraton' is not a kind of sensor of the simulator"),
        ({"sensors": (7,)}, "simulate.sensors: 7 is not a kind of sensor"),
        ({"sensors": ("power", "power")}, "'power' is listed 2 times"),
    ],
)
def test_a_setting_that_makes_no_sense_is_an_error_that_names_it(settings, message):
    with pytest.raises(InputError, match=message):
        a_simulation(**settings)


def test_ids_are_in_the_order_of_their_bytes():
    simulation = a_simulation(devices=120, sensors=("vibration", "power_2", "power"))
    assert simulation.device_names == sorted(simulation.device_names)
    assert simulation.device_names[:2] == ["pump-001", "pump-002"]
    assert simulation.sensor_names == ["power", "power_2", "vibration"]


def test_the_digest_tells_settings_and_selections_apart():
    variants = [
        (a_simulation(), Selection()),
        (a_simulation(seed=8), Selection()),
        (a_simulation(faults_per_device=FaultRates()), Selection()),
        (a_simulation(interval=timedelta(minutes=5)), Selection()),
        (a_simulation(), Selection.read("pump-01", None)),
        (a_simulation(), Selection.read(None, "vibration")),
    ]
    assert len({simulation_digest(*one) for one in variants}) == len(variants)


def test_the_order_of_ids_does_not_change_the_digest():
    turned = a_simulation(sensors=("vibration", "temperature")), Selection.read(["pump-02", "pump-01"], None)
    straight = a_simulation(), Selection.read(["pump-01", "pump-02"], None)
    assert simulation_digest(*turned) == simulation_digest(*straight)
