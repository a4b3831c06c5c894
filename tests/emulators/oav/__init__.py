"""Checks exchanges between clients and stand-ins with Azure's published descriptions, by oav."""

from tests.emulators.oav.exchanges import Exchange, Recorder
from tests.emulators.oav.validator import Validator, Violation, require

__all__ = ["Exchange", "Recorder", "Validator", "Violation", "require"]
