"""Make alert sinks from their settings and secrets."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Any

from batch_scoring.alerts.settings import read_sinks
from batch_scoring.alerts.sinks.base import OpenSinks, Sink, UnreachableError
from batch_scoring.datasets.own import OwnDataset


class NotificationSinks(OwnDataset[None, OpenSinks]):
    """``load`` gives a function that makes sinks of the setting ``alerts.sinks``.

    Sinks connect only when there is something to send.

    Parameters
    ----------
    credentials : dict of str to str, optional
        Secrets by the names that the settings ``…_from`` give them. A name that is not among them is
        one of an environment variable.
    """

    def load(self) -> OpenSinks:
        """Return the function; it raises InputError on settings that are not valid."""
        return self._open

    def _describe(self) -> dict[str, Any]:
        return {"credentials": sorted(self._credentials or {})}

    def _open(self, values: Iterable[Any]) -> list[Sink]:
        return [settings.open(self._secret) for settings in read_sinks(values)]

    def _secret(self, name: str | None) -> str | None:
        if name is None:
            return None
        secret = (self._credentials or {}).get(name) or os.environ.get(name)
        if not secret:
            raise UnreachableError(f"{name} is neither among the credentials nor in the environment; set it")
        return str(secret).strip()
