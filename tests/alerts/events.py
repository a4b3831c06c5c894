"""Events and sinks for the tests of notifying."""

from __future__ import annotations

from typing import Any

from batch_scoring.alerts.messages import OUR_WORDS, message_of
from batch_scoring.alerts.sinks.base import Message
from tests.alerts.ledgers import ledger_of


def make_message(number: int = 1, device: str = "pump-1") -> Message:
    """An event as it is sent."""
    return message_of(ledger_of([(device, 0, 1, number)]).table, OUR_WORDS)


class Recorder:
    """A sink that keeps what it gets; ``problems`` are raised in place of the next deliveries."""

    def __init__(
        self,
        name: str = "recorder",
        problems: list[Exception | None] | None = None,
        takes_all: bool = True,
    ) -> None:
        self.name = name
        self.takes_all = takes_all
        self.got: list[dict[str, Any]] = []
        self.problems = problems or []
        self.is_closed = False

    def send(self, message: Message) -> str:
        """Keep the message, or fail."""
        problem = self.problems.pop(0) if self.problems else None
        if problem is not None:
            raise problem
        self.got.append(message)
        return "kept"

    def close(self) -> None:
        """Remember it."""
        self.is_closed = True
