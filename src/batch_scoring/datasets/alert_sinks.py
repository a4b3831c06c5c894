"""Make alert sinks from their settings and secrets, and send to them."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any

from batch_scoring.alerts.settings import read_sinks
from batch_scoring.alerts.sinks.base import OpenSinks, Sink, UnreachableError
from batch_scoring.datasets.entries import Entries
from batch_scoring.datasets.own import OwnDataset, require_kind
from batch_scoring.storage.row_table import Update

if TYPE_CHECKING:
    from kedro_datasets._typing import TablePreview


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


class Alerts(Entries):
    """The entries ``notification_sinks`` and ``notifications``: where alerts go, and the ledger of them.

    ``save`` takes a function of what opens the sinks. It yields updates of the ledger, each committed before
    the next is asked for.
    """

    def save(self, data: Callable[[OpenSinks], Iterator[Update]]) -> None:  # type: ignore[override]
        """Send, and note it in the ledger; raises InputError on anything but a function."""
        require_kind(data, Callable, "a function of what opens the sinks, as the pipeline notify makes it")
        for update in data(self._entries["notification_sinks"].load()):
            self._entries["notifications"].save(update)

    def preview(self, nrows: int = 5) -> TablePreview:
        """Return the first rows of the ledger for Kedro-Viz."""
        from batch_scoring.datasets.previews import preview_table

        return preview_table(self._entries["notifications"].load().head(nrows))

    def _exists(self) -> bool:
        return self._entries["notifications"].exists()
