"""Write events to the log."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Literal

from batch_scoring.alerts.messages import is_over
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
    """A line of the log; a warning while somebody should look."""

    takes_all = False

    def __init__(self, name: str) -> None:
        self.name = name

    def send(self, message: Message) -> str:
        """Write the line."""
        level = logging.INFO if is_over(message) else logging.WARNING
        logger.log(level, "%s%s", message["text"], f", {message['link']}" if message["link"] else "")
        return "written to the log"

    def close(self) -> None:
        """Nothing to close."""
