"""A registry of images on this machine, with TLS and a password: Debian's docker-registry."""

from __future__ import annotations

import os
import secrets
import ssl
import subprocess
import time
import urllib.error
import urllib.request
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import bcrypt

from tests.emulators.certificates import make_certificate
from tests.emulators.ports import lasting_port

_SECONDS = 20.0


@dataclass
class Registry:
    """A running registry.

    Attributes
    ----------
    folder : Path
        Of its certificate, its settings and its images.
    user, password : str
        The only one it knows.
    port : int
    """

    folder: Path
    user: str = "fleet"
    password: str = field(default_factory=lambda: secrets.token_urlsafe(24), repr=False)
    port: int = field(default_factory=lasting_port)
    certificate: Path = field(init=False)
    _process: subprocess.Popen | None = field(init=False, default=None)

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.port}"

    def start(self) -> Registry:
        """Start it, and wait until it answers."""
        self.certificate, key = make_certificate(self.folder / "tls")
        known = bcrypt.hashpw(self.password.encode(), bcrypt.gensalt(4)).decode()
        (self.folder / "htpasswd").write_text(f"{self.user}:{known}\n")
        settings = self.folder / "registry.yml"
        settings.write_text(f"""\
version: 0.1
log: {{level: warn, accesslog: {{disabled: true}}}}
storage: {{filesystem: {{rootdirectory: "{self.folder}/images"}}, delete: {{enabled: true}}}}
http: {{addr: "{self.host}", tls: {{certificate: "{self.certificate}", key: "{key}"}}}}
auth: {{htpasswd: {{realm: fleet, path: "{self.folder}/htpasswd"}}}}
""")
        with (self.folder / "registry.log").open("wb") as log:
            self._process = subprocess.Popen(
                ["docker-registry", "serve", str(settings)],
                env={"PATH": os.environ["PATH"]},
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._wait()
        return self

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait()

    def __enter__(self) -> Registry:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _wait(self) -> None:
        trusting = ssl.create_default_context(cafile=str(self.certificate))
        until = time.monotonic() + _SECONDS
        while time.monotonic() < until and self._process.poll() is None:
            with suppress(ConnectionError, urllib.error.URLError):
                try:
                    urllib.request.urlopen(f"https://{self.host}/v2/", context=trusting, timeout=5).close()
                except urllib.error.HTTPError as error:
                    if error.code == 401:  # it wants the password
                        return
            time.sleep(0.05)
        raise RuntimeError(f"docker-registry does not answer: {(self.folder / 'registry.log').read_text()}")
