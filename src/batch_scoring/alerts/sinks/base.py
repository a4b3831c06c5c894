"""What a sink does, and what it may raise."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterable
from typing import Any, Protocol

logger = logging.getLogger(__name__)

Message = dict[str, Any]

WHERE = "alerts.sinks"
# Maximum number of messages sent before the ledger is saved.
BATCH = 50


class RefusedError(Exception):
    """A message was refused; the next one may not be. The text holds no secret."""


class UnreachableError(Exception):
    """No message can be delivered now. The text holds no secret."""


class Sink(Protocol):
    """A destination of messages."""

    name: str
    # Whether it takes a message for each event, however many: a program reads them, or a file keeps them.
    takes_all: bool

    def send(self, message: Message) -> str:
        """Deliver a message; to return is to have delivered it for good.

        Parameters
        ----------
        message : dict
            See :func:`~batch_scoring.alerts.messages.message_of`.

        Returns
        -------
        str
            What the receiver said, without secrets, for a person who tries the sink.

        Raises
        ------
        RefusedError, UnreachableError
            When it was not delivered, or its delivery is unknown.
        """

    def close(self) -> None:
        """Close connections and files."""


# Reads a secret by its name; None for no name.
ReadSecret = Callable[[str | None], str | None]
OpenSinks = Callable[[Iterable[Any]], list[Sink]]


class SinkSettings(Protocol):
    """The settings of a sink; they name secrets, and never hold them. Each is a dataclass."""

    @property
    def name(self) -> str:
        """The name of the sink; by default that of its type."""

    def open(self, secret: ReadSecret) -> Sink:
        """Make the sink, which reads its secrets and connects when there is something to send.

        ``secret`` raises UnreachableError where it does not find one.
        """


def to_json(message: Message) -> bytes:
    """Serialise a message to one line of JSON; of one that stands for many events without all of them."""
    plain = {name: value for name, value in message.items() if name != "events"}
    return json.dumps(plain, ensure_ascii=False, allow_nan=False).encode()
