"""What a sink does, and what it may raise."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterable
from typing import Any, Protocol

logger = logging.getLogger(__name__)

Message = dict[str, Any]

# Maximum number of events sent before the ledger is saved.
BATCH = 50


class RefusedError(Exception):
    """An event was refused; the next one may not be. The text holds no secret."""


class UnreachableError(Exception):
    """No event can be delivered now. The text holds no secret."""


class Sink(Protocol):
    """A destination of events."""

    name: str

    def send(self, message: Message) -> None:
        """Deliver an event; to return is to have delivered it for good.

        Parameters
        ----------
        message : dict
            See :func:`~batch_scoring.alerts.ledger.messages`.

        Raises
        ------
        RefusedError, UnreachableError
            When it was not delivered, or its delivery is unknown.
        """

    def close(self) -> None:
        """Close connections and files."""


OpenSinks = Callable[[Iterable[Any]], list[Sink]]


def to_json(message: Message) -> bytes:
    """Serialise an event to one line of JSON."""
    return json.dumps(message, ensure_ascii=False, allow_nan=False).encode()
