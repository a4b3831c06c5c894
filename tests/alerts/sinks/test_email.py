"""A real mail server takes the mails; what it refuses, and when it is down, is told apart."""

from __future__ import annotations

import socket
import ssl
from email import policy
from email.parser import BytesParser

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult

from batch_scoring.alerts.settings import read_sinks
from batch_scoring.alerts.sinks.base import RefusedError, UnreachableError
from batch_scoring.core.errors import InputError
from tests.alerts.sinks.forms import EVERY, HARD, closed, opened
from tests.alerts.slow_receiver import dripping

TO = ["shift@example.com", "chief@example.com"]


class Box:
    """Keeps mails; answers ``refusal`` to recipients or to data, if there is one."""

    def __init__(self):
        self.mails, self.refusal, self.at = [], None, "DATA"

    async def handle_RCPT(self, server, session, envelope, address, options):  # noqa: N802
        if self.refusal and self.at == "RCPT":
            return self.refusal
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):  # noqa: N802
        if self.refusal and self.at == "DATA":
            return self.refusal
        mail = BytesParser(policy=policy.default).parsebytes(envelope.content)
        self.mails.append((envelope.mail_from, envelope.rcpt_tos, mail))
        return "250 OK"


@pytest.fixture
def box():
    return Box()


@pytest.fixture
def server(box):
    one = Controller(box, hostname="127.0.0.1", port=free_port())
    one.start()
    yield one
    one.stop()


def free_port():
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


def sink_of(port, secrets=None, **more):
    values = {"host": "127.0.0.1", "port": port, "to": TO, "sender": "fleet@example.com", "security": "none"}
    (settings,) = read_sinks([{"type": "email", **values, **more}])
    return settings.open({None: None, **(secrets or {})}.__getitem__)


@pytest.mark.parametrize("kind", EVERY)
def test_a_mail_says_what_a_person_needs(server, box, kind):
    sink = sink_of(server.port)
    assert sink.send(EVERY[kind]) == "127.0.0.1 took the mail"
    sink.close()
    ((sender, to, mail),) = box.mails
    assert (sender, to) == ("fleet@example.com", TO)
    assert mail["To"] == "shift@example.com, chief@example.com"
    assert mail["Auto-Submitted"] == "auto-generated"
    text = mail.get_content()
    assert EVERY[kind]["text"] in text
    assert EVERY[kind]["link"] in text
    if kind == "opened":
        assert mail["Subject"] == "pump-1: high anomaly opened, s"
        assert mail["Message-ID"] == "<pump-1-0-1@example.com>"
        assert "Level: high (priority 7)" in text


def test_mails_of_an_incident_are_one_conversation_over_one_connection(server, box):
    sink = sink_of(server.port)
    sink.send(opened())
    sink.send(closed())
    sink.close()
    first, last = (mail for *_, mail in box.mails)
    assert first["References"] == last["References"]
    assert first["Message-ID"] != last["Message-ID"]


def test_a_line_break_in_an_id_makes_no_header(server, box):
    sink_of(server.port).send(opened("a\nBcc: all@example.com"))
    ((_, to, mail),) = box.mails
    assert to == TO
    assert mail["Bcc"] is None
    sink_of(server.port).send(opened(HARD))
    assert len(box.mails) == 2


@pytest.mark.parametrize(
    ("at", "refusal", "problem"),
    [
        ("DATA", "554 no", RefusedError),
        ("DATA", "451 later", UnreachableError),
        ("RCPT", "550 nobody", RefusedError),
    ],
)
def test_a_refused_mail_is_told_from_a_server_that_cannot(server, box, at, refusal, problem):
    sink = sink_of(server.port)
    box.at, box.refusal = at, refusal
    with pytest.raises(problem):
        sink.send(opened())
    box.refusal = None
    sink.send(opened())
    assert len(box.mails) == 1


def test_nobody_there_and_somebody_who_never_ends():
    with pytest.raises(UnreachableError, match="ConnectionRefusedError"):
        sink_of(free_port()).send(opened())
    with dripping(b"220 ") as (url, _):
        port = int(url.rsplit(":", 1)[1].split("/")[0])
        with pytest.raises(UnreachableError, match="it took longer"):
            sink_of(port, timeout="0.5s").send(opened())


def test_it_signs_in_over_tls_only(box, tmp_path):
    """The password is never sent where the certificate is not trusted."""
    certificate = tmp_path / "server.pem"
    make_certificate(certificate)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    tried = []

    def authenticate(server, session, envelope, mechanism, data):
        tried.append((mechanism, data.login, data.password))
        return AuthResult(success=data.password == b"pa55", handled=False)

    one = Controller(
        box, hostname="127.0.0.1", port=free_port(), tls_context=context, authenticator=authenticate
    )
    one.start()
    try:
        more = {"security": "starttls", "user_from": "U", "password_from": "P", "host": "localhost"}
        sink = sink_of(one.port, {"U": "fleet", "P": "pa55"}, **more)
        with pytest.raises(UnreachableError, match="CERTIFICATE_VERIFY_FAILED"):
            sink.send(opened())
        assert tried == []
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("SSL_CERT_FILE", str(certificate))
            assert sink.send(opened()) == "localhost took the mail"
            wrong = sink_of(one.port, {"U": "fleet", "P": "wr0ng"}, **more)
            with pytest.raises(UnreachableError, match="535") as error:
                wrong.send(opened())
        assert "wr0ng" not in str(error.value)
        assert tried[0][1:] == (b"fleet", b"pa55")
    finally:
        one.stop()


def make_certificate(path):
    from datetime import UTC, datetime, timedelta

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), False)
        .add_extension(x509.BasicConstraints(True, None), True)
        .sign(key, hashes.SHA256())
    )
    plain = serialization.NoEncryption()
    kind = serialization.PrivateFormat.PKCS8
    path.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, kind, plain)
        + made.public_bytes(serialization.Encoding.PEM)
    )


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"to": []}, "needs an address"),
        ({"to": ["a@b\nBcc: c@d"]}, "is not valid"),
        ({"sender": "fleet"}, "'fleet' is not valid"),
        ({"user_from": "U"}, "alone"),
        ({"user_from": "U", "password_from": "P"}, "in the clear"),
    ],
)
def test_what_cannot_work_is_an_error(more, said):
    with pytest.raises(InputError, match=said):
        sink_of(25, **more)


def test_a_link_local_server_is_refused():
    with pytest.raises(UnreachableError, match="link-local"):
        sink_of(25, host="169.254.169.254").send(opened())
