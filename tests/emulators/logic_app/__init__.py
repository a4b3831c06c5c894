"""A player for workflow definitions of Logic Apps: strict in what it reads, real in what it sends."""

from tests.emulators.logic_app.definition import DefinitionError, check
from tests.emulators.logic_app.player import ActionRecord, LogicApp, Run

__all__ = ["ActionRecord", "DefinitionError", "LogicApp", "Run", "check"]
