"""Catalog datasets of an event hub: drain it with checkpoints, list stored events, and publish."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import timedelta
from functools import cached_property
from typing import Any

import pyarrow as pa

from batch_scoring.datasets.own import OwnDataset, require_kind
from batch_scoring.datasets.raw_readings import RawReadings
from batch_scoring.event_hub.address import DEFAULT_GROUP, Address, read_address
from batch_scoring.event_hub.checkpoints import Checkpoints, Position, open_checkpoints
from batch_scoring.tables.streams import Stream


class EventHub(OwnDataset[None, Any]):
    """An event hub to drain.

    ``load`` gives a :class:`HubReader`, which connects when it is asked for events. ``confirm``
    moves the checkpoints behind the events that were read; Kedro calls it when the outputs of a
    node with ``confirms`` are saved.

    Parameters
    ----------
    checkpoints : str
        A local folder, or a container: ``abfs://container``, ``https://account…/container``; a path
        behind the container does not count.
    hub, namespace : str, optional
        Default: what the environment or the connection string names.
    consumer_group : str
        Give the project one of its own.
    credentials : mapping, optional
        ``connection_string``, ``storage_connection_string``, ``storage_sas``; Kedro fills it in
        from ``credentials.yml``. Default: the environment, else ``DefaultAzureCredential``.
    client_options : mapping, optional
        For ``azure.eventhub.aio.EventHubConsumerClient``, such as ``http_proxy`` or ``transport_type``.
    """

    def __init__(
        self,
        checkpoints: str,
        hub: str | None = None,
        namespace: str | None = None,
        consumer_group: str = DEFAULT_GROUP,
        client_options: dict[str, Any] | None = None,
        **more: Any,
    ) -> None:
        super().__init__(**more)
        self._hub, self._namespace, self._group = hub, namespace, consumer_group
        self._place = checkpoints
        self._client_options = client_options or {}
        self._reader: HubReader | None = None

    def load(self) -> HubReader:
        """Return the hub, not connected yet; raises InputError when no hub is named."""
        address = read_address(self._hub, self._namespace, self._group, self._credentials)
        checkpoints = open_checkpoints(self._place, address, self._credentials)
        self._reader = HubReader(address, checkpoints, self._client_options)
        return self._reader

    def confirm(self) -> None:
        """Move the checkpoints: all events read since ``load`` are durably stored."""
        if self._reader is not None:
            self._reader.confirm()

    def _exists(self) -> bool:
        return True

    def _describe(self) -> dict[str, Any]:
        return {"hub": self._hub, "namespace": self._namespace, "consumer_group": self._group}


class HubReader:
    """An event hub to be drained; see :meth:`events`."""

    def __init__(self, address: Address, checkpoints: Checkpoints, client_options: dict[str, Any]) -> None:
        self.address, self._checkpoints, self._client_options = address, checkpoints, client_options
        self._read: dict[str, Position] = {}

    def events(
        self,
        landed: Mapping[str, int] | None = None,
        max_events: int | None = None,
        max_time: timedelta | None = None,
    ) -> Iterator[pa.Table]:
        """Read from the checkpoints to the end that is there now.

        Parameters
        ----------
        landed : mapping of partition to int, optional
            Sequence numbers up to which events have landed although no checkpoint says so yet: a
            run was killed in between.
        max_events : int, optional
            Maximum number of events.
        max_time : timedelta, optional
            Maximum duration.

        Yields
        ------
        pyarrow.Table
            Schema ``EVENTS``: events of one partition with ascending sequence numbers. The tables
            of a partition come in order.

        Raises
        ------
        InputError
            When the hub cannot be read; after what could be read was yielded.
        """
        from batch_scoring.event_hub.drain import Drain, Limits
        from batch_scoring.event_hub.sync import HandOn, iterate

        after = {name: at.sequence_number for name, at in self._checkpoints.read().items()}
        for name, number in (landed or {}).items():
            after[name] = max(number, after.get(name, -1))
        limits = Limits(max_events, max_time)

        async def produce(hand_on: HandOn) -> None:
            await Drain(self.address, after, limits, hand_on, self._client_options).run()

        for table in iterate(produce):
            yield table
            last = table.slice(table.num_rows - 1).to_pylist()[0]
            self._read[last["partition"]] = Position(last["sequence_number"], last["offset"])

    def confirm(self) -> None:
        """Move the checkpoints behind the events that were yielded."""
        if self._read:
            self._checkpoints.move(self._read)


class LandedEvents(RawReadings):
    """The names of the files of events that have landed; the arguments are those of :class:`.RawReadings`."""

    def load(self) -> list[str]:  # type: ignore[override]
        """List the names, relative to the folder, with ``/``; sorted."""
        return [file.name for file in self._list() if file.format == "events"]

    def _exists(self) -> bool:
        return True


class PublishedEvents(OwnDataset[Any, None]):
    """An event hub to publish to; write only. ``save`` takes tables with ``device`` and ``body``.

    Parameters
    ----------
    hub, namespace, credentials, client_options
        See :class:`EventHub`.
    """

    def __init__(
        self,
        hub: str | None = None,
        namespace: str | None = None,
        client_options: dict[str, Any] | None = None,
        **more: Any,
    ) -> None:
        super().__init__(**more)
        self._hub, self._namespace = hub, namespace
        self._client_options = client_options or {}

    @cached_property
    def _address(self) -> Address:
        return read_address(self._hub, self._namespace, DEFAULT_GROUP, self._credentials)

    def save(self, data: pa.Table) -> None:
        """Send each row as an event, with the device as partition key; returns when all are accepted.

        Raises
        ------
        InputError
            When the hub cannot be written to.
        """
        require_kind(data, (pa.Table, Stream), "an Arrow table with the columns device, body and due")
        from batch_scoring.event_hub.send import publish

        publish(self._address, data, self._client_options)

    def _describe(self) -> dict[str, Any]:
        return {"hub": self._hub, "namespace": self._namespace}
