"""Connections go to the server of the host that they ask for, and to no other."""

import socket
import ssl

import pytest

from tests.emulators.certificates import make_certificate
from tests.emulators.servers import Handler, Server, TlsServer
from tests.emulators.tls_router import Target, TlsRouter

pytestmark = pytest.mark.slow  # a server each

BODY = b"x" * 1_000_000


def serve(name, tls=None):
    class Named(Handler):
        def serve(self):
            self.reply(200, f"{name} {self.headers['Host']} ".encode() + BODY)

    return Server(Named) if tls is None else TlsServer(Named, tls)


@pytest.fixture
def router(tmp_path):
    certificate, key = make_certificate(tmp_path / "router", ["one.example", "two.example"])
    inner = make_certificate(tmp_path / "inner")
    one, two = serve("one"), serve("two", inner)
    targets = {
        "one.example": Target(one.server_port),
        "two.example": Target(two.server_port, authority=inner[0]),
    }
    with TlsRouter(certificate, key, 0, targets) as opened:
        opened.context = ssl.create_default_context(cafile=certificate)
        yield opened
    one.shutdown()
    two.shutdown()


def get(router, host):
    with (
        socket.create_connection(("127.0.0.1", router.port), timeout=60) as plain,
        router.context.wrap_socket(plain, server_hostname=host) as connection,
    ):
        connection.sendall(f"GET / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
        answer = b""
        while chunk := connection.recv(1 << 16):
            answer += chunk
    return answer.partition(b"\r\n\r\n")[2]


@pytest.mark.parametrize("host", ["one", "two"])
def test_a_connection_reaches_the_server_of_its_host(router, host):
    assert get(router, f"{host}.example") == f"{host} {host}.example ".encode() + BODY


def test_a_host_that_nobody_stands_in_for_is_refused(router):
    with pytest.raises(ssl.SSLError):
        get(router, "three.example")
    assert router.refused == ["three.example"]
