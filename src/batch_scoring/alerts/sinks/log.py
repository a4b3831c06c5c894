"""Write events to the log."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Literal

from batch_scoring.alerts.sinks.base import Message, ReadSecret, logger


@dataclass(frozen=True)
class Settings:
    """A line of the log."""

    type: Literal["log"] = "log"
    name: str = "log"

    def open(self, secret: ReadSecret) -> LogSink:
        """Make the sink."""
        return LogSink(self.name)


class LogSink:
    """A line of the log; a warning where an incident opens."""

    def __init__(self, name: str) -> None:
        self.name = name

    def send(self, message: Message) -> None:
        """Write the line."""
        level = logging.WARNING if message["change"] == "opened" else logging.INFO
        logger.log(level, "%s", message["text"])

    def close(self) -> None:
        """Nothing to close."""
