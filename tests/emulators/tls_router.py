"""One TLS port for many hosts: a connection goes on to the server that stands in for the host it names."""

from __future__ import annotations

import asyncio
import ssl
import threading
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

_CHUNK = 1 << 16


@dataclass(frozen=True)
class Target:
    """Where the connections of a host go: a port of this machine.

    ``authority`` is the certificate to trust where that port speaks TLS itself; None: it does not.
    """

    port: int
    authority: Path | None = None


class TlsRouter:
    """Listens on 127.0.0.1 in a thread of its own.

    Parameters
    ----------
    certificate, key : Path
        Good for all the hosts.
    port : int
        0 chooses a free one, which is then :attr:`port`.
    targets : mapping of host to Target
        More may be added while it runs.
    """

    def __init__(self, certificate: Path, key: Path, port: int, targets: Mapping[str, Target]) -> None:
        self.port, self.targets = port, dict(targets)
        self.refused: list[str] = []
        self._hosts: WeakKeyDictionary[Any, str] = WeakKeyDictionary()
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(certificate, key)
        self._context.sni_callback = self._note
        self._loop = asyncio.new_event_loop()
        self._serving: set[Any] = set()  # the loop itself does not keep its tasks alive
        self._server: asyncio.Server | None = None
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    def __enter__(self) -> TlsRouter:
        self._thread.start()
        self._server = asyncio.run_coroutine_threadsafe(self._open(), self._loop).result(10)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    def __exit__(self, *_: object) -> None:
        asyncio.run_coroutine_threadsafe(self._shut(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    async def _open(self) -> asyncio.Server:
        return await asyncio.start_server(self._serve, "127.0.0.1", self.port, ssl=self._context)

    async def _shut(self) -> None:
        assert self._server is not None
        self._server.close()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    def _note(self, connection: Any, host: str | None, _: ssl.SSLContext) -> int | None:
        if host not in self.targets:
            self.refused.append(str(host))
            return ssl.ALERT_DESCRIPTION_UNRECOGNIZED_NAME
        self._hosts[connection] = host
        return None

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        self._serving.add(task)
        target = self.targets[self._hosts[writer.get_extra_info("ssl_object")]]
        context = None if target.authority is None else ssl.create_default_context(cafile=target.authority)
        with suppress(OSError, asyncio.CancelledError):
            to_reader, to_writer = await asyncio.open_connection(
                "127.0.0.1", target.port, ssl=context, server_hostname=context and "127.0.0.1"
            )
            try:
                await asyncio.gather(_pass_on(reader, to_writer), _pass_on(to_reader, writer))
            finally:
                to_writer.close()
        writer.close()
        self._serving.discard(task)


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Copy until either side ends; then the other is to end too."""
    with suppress(OSError):
        while chunk := await reader.read(_CHUNK):
            writer.write(chunk)
            await writer.drain()
    writer.close()
