"""A stand-in for Azure Resource Manager: https on loopback, templates that are really evaluated."""

from tests.emulators.arm.server import ArmServer
from tests.emulators.arm.service import Arm

__all__ = ["Arm", "ArmServer"]
