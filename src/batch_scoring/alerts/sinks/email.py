"""Send messages as e-mail, by SMTP."""

from __future__ import annotations

import re
import smtplib
import socket
import ssl
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from email.message import EmailMessage
from email.utils import format_datetime
from functools import partial
from typing import Literal

from batch_scoring.alerts.messages import SEVERAL, facts
from batch_scoring.alerts.post import ForbiddenAddressError, refuse_link_local
from batch_scoring.alerts.sinks.base import WHERE, Message, ReadSecret, RefusedError, UnreachableError
from batch_scoring.core.deadline import call_within
from batch_scoring.core.errors import InputError
from batch_scoring.core.parameters import read_time
from batch_scoring.core.text import cut

_SUBJECT, _TOKEN = 300, 200
_ADDRESS = re.compile(r"[^@\s<>,;:]+@[^@\s<>,;:]+")


@dataclass(frozen=True)
class Settings:
    """A mail to each address of ``to``. ``user_from`` and ``password_from`` name secrets."""

    host: str
    to: tuple[str, ...]
    sender: str
    port: int | None = None
    security: Literal["starttls", "tls", "none"] = "starttls"
    user_from: str | None = None
    password_from: str | None = None
    timeout: timedelta = timedelta(seconds=20)
    allow_link_local: bool = False
    type: Literal["email"] = "email"
    name: str = "email"

    def __post_init__(self) -> None:
        for address in (self.sender, *self.to):
            if not isinstance(address, str) or not _ADDRESS.fullmatch(address):
                raise InputError(f"{WHERE}: {self.name}: {address!r} is not valid; expected name@example.com")
        if not self.to:
            raise InputError(f"{WHERE}: {self.name} needs an address in `to`")
        if (self.user_from is None) != (self.password_from is None):
            raise InputError(f"{WHERE}: {self.name} has user_from or password_from alone; give both or none")
        if self.user_from is not None and self.security == "none":
            raise InputError(f"{WHERE}: {self.name} would send a password in the clear; use starttls or tls")

    def open(self, secret: ReadSecret) -> EmailSink:
        """Make the sink."""
        return EmailSink(self, partial(secret, self.user_from), partial(secret, self.password_from))


@dataclass
class EmailSink:
    """Sends each message as a mail; the mails of an incident are one conversation."""

    settings: Settings
    user: Callable[[], str | None] = lambda: None
    password: Callable[[], str | None] = lambda: None
    takes_all: bool = False
    _server: smtplib.SMTP | None = field(default=None, init=False)

    @property
    def name(self) -> str:
        """The name of the sink."""
        return self.settings.name

    def send(self, message: Message) -> str:
        """Hand the mail to the server."""
        mail = mail_of(message, self.settings.sender, self.settings.to)
        try:
            return call_within(self.settings.timeout.total_seconds(), partial(self._send, mail))
        except smtplib.SMTPRecipientsRefused as error:
            self.close()
            raise RefusedError(f"the server refused {', '.join(sorted(error.recipients))}") from None
        except smtplib.SMTPDataError as error:
            self.close()
            if error.smtp_code < 500:
                raise UnreachableError(f"the server answered {error.smtp_code}") from None
            raise RefusedError(f"the server answered {error.smtp_code}") from None
        except ForbiddenAddressError as error:
            raise UnreachableError(str(error)) from None
        except smtplib.SMTPResponseException as error:
            self.close()
            raise UnreachableError(f"the server answered {error.smtp_code}") from None
        except (OSError, smtplib.SMTPException) as error:
            self.close()
            raise UnreachableError(f"{type(error).__name__}: {error}") from None

    def close(self) -> None:
        """Say goodbye to the server, if there is one."""
        server, self._server = self._server, None
        if server is not None:
            with suppress(OSError, smtplib.SMTPException):
                server.quit()

    def _send(self, mail: EmailMessage) -> str:
        if self._server is None:
            self._server = self._connect()
        refused = self._server.send_message(mail)
        some = f"; it refused {', '.join(sorted(refused))}" if refused else ""
        return f"{self.settings.host} took the mail{some}"

    def _connect(self) -> smtplib.SMTP:
        one, seconds = self.settings, self.settings.timeout.total_seconds()
        if not one.allow_link_local:
            for *_, address in socket.getaddrinfo(one.host, one.port or 0, type=socket.SOCK_STREAM):
                refuse_link_local(str(address[0]))
        context = ssl.create_default_context()
        if one.security == "tls":
            server: smtplib.SMTP = smtplib.SMTP_SSL(
                one.host, one.port or 465, timeout=seconds, context=context
            )
        else:
            server = smtplib.SMTP(
                one.host, one.port or (587 if one.security == "starttls" else 25), timeout=seconds
            )
        try:
            if one.security == "starttls":
                server.starttls(context=context)
            user, password = self.user(), self.password()
            if user and password:
                server.login(user, password)
        except BaseException:
            server.close()
            raise
        return server


def mail_of(message: Message, sender: str, to: tuple[str, ...]) -> EmailMessage:
    """Write a mail of plain text; its ``Message-ID`` is made of the message's id."""
    mail, domain = EmailMessage(), sender.rpartition("@")[2]
    mail["Subject"] = cut(message["title"], _SUBJECT)
    mail["From"], mail["To"] = sender, ", ".join(to)
    mail["Date"] = format_datetime(read_time(message["at"], "at"))
    mail["Message-ID"] = f"<{_token(message['event_id'])}@{domain}>"
    if message["change"] != SEVERAL:
        mail["References"] = f"<{_token(message['incident_id'])}@{domain}>"
    # No holiday reply, please.
    mail["Auto-Submitted"] = "auto-generated"
    lines = [message["text"], "", *(f"{name}: {value}" for name, value in facts(message))]
    lines += ["", message["link"]] if message["link"] else []
    mail.set_content("\n".join(lines) + "\n")
    return mail


def _token(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9.-]", "-", text)[:_TOKEN]
