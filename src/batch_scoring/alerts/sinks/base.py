"""What a sink does, and what it may raise."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterable
from typing import Any, Protocol

logger = logging.getLogger(__name__)

Message = dict[str, Any]

# So many events at most are sent before it is written down that they were.
BATCH = 50


class RefusedError(Exception):
    """An event was refused; the next one may not be. The text holds no secret."""


class UnreachableError(Exception):
    """No event can be delivered now. The text holds no secret."""


class Sink(Protocol):
    """Where events go to."""

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
            When it was not delivered, or when nobody can say.
        """

    def close(self) -> None:
        """Let go of connections and files."""


OpenSinks = Callable[[Iterable[Any]], list[Sink]]


def to_json(message: Message) -> bytes:
    """An event in one line, as it goes over a wire."""
    return json.dumps(message, ensure_ascii=False, allow_nan=False).encode()
