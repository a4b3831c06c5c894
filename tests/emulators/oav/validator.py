"""Starts oav, Microsoft's validator of live traffic, as a process, and asks it about exchanges."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.emulators.oav.exchanges import Exchange

PROJECT = Path(__file__).parents[3]
# Where `make test` puts oav; OAV names another folder with node_modules in it.
HOME = Path(os.environ.get("OAV") or PROJECT / ".oav")
# The published descriptions, a checkout of azure-rest-api-specs or a part of it.
SPECS = Path(os.environ.get("AZURE_SPECS") or PROJECT.parent / "shared/azure-specs")
_AT_ONCE = 100


def require(pattern: str) -> None:
    """Skip a test where exchanges cannot be checked with the descriptions that a pattern names.

    In CI the want of oav is a failure; the descriptions, which the project does not carry, may be absent.
    """
    if not any((SPECS / "specification").glob(pattern)):
        pytest.skip(f"no descriptions {pattern} in {SPECS}; AZURE_SPECS names the folder that has them")
    if shutil.which("node") is None or not (HOME / "node_modules/oav").is_dir():
        reason = f"there is no Node.js, or no oav in {HOME}; `make test` installs it"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)


@dataclass(frozen=True)
class Violation:
    """Something that is not as the description says; ``side`` is request or response."""

    method: str
    path: str
    status: int
    operation: str
    side: str
    code: str
    message: str
    paths: tuple[str, ...]

    def __str__(self) -> str:
        where = f"{self.method} {self.path} {self.status} ({self.operation or 'unknown operation'})"
        return f"{where} {self.side} {self.code}: {self.message} {', '.join(self.paths)}".rstrip()


class Validator:
    """A running oav for the descriptions that match a pattern below ``specification``.

    Parameters
    ----------
    pattern : str
        Such as ``batch/data-plane/Microsoft.Batch/stable/2024-02-01.19.0/*.json``.
    host : str
        What stands in the place of the loopback address in what is checked.
    api_version : str, optional
        Of the descriptions, where clients speak a newer one.
    expected : callable
        Whether a violation is one of the differences that are known and explained.
    """

    def __init__(
        self,
        pattern: str,
        host: str,
        api_version: str | None = None,
        expected: Callable[[Violation], bool] = lambda violation: False,
    ) -> None:
        self._pattern, self._host, self._api_version, self._expected = pattern, host, api_version, expected

    def __enter__(self) -> Validator:
        self._process = subprocess.Popen(
            [
                "node",
                str(Path(__file__).with_name("validator.js")),
                str(SPECS / "specification"),
                self._pattern,
            ],
            env=os.environ | {"NODE_PATH": str(HOME / "node_modules")},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        said = ""
        for line in self._process.stdout:
            said += line
            if line.startswith("listening on "):
                self._url = f"http://127.0.0.1:{int(line.split()[-1])}/"
                return self
        raise RuntimeError(f"oav did not start: {said}")

    def __exit__(self, *_: object) -> None:
        self._process.stdin.close()
        self._process.stdout.close()
        self._process.wait(60)

    def violations(self, exchanges: Sequence[Exchange]) -> list[Violation]:
        """What is not as it is described; an exchange that no operation fits is one, too."""
        found = []
        for first in range(0, len(exchanges), _AT_ONCE):
            chunk = exchanges[first : first + _AT_ONCE]
            for exchange, result in zip(chunk, self._ask(chunk), strict=True):
                found += [
                    Violation(
                        *(exchange.method, exchange.path, exchange.status, result["operation"], side),
                        *(one["code"], one["message"], tuple(one["paths"])),
                    )
                    for side in ("request", "response")
                    for one in result[side]
                ]
        return [one for one in found if not self._expected(one)]

    def _ask(self, chunk: Sequence[Exchange]) -> list[dict]:
        body = json.dumps([one.for_oav(self._host, self._api_version) for one in chunk]).encode()
        try:
            with urllib.request.urlopen(self._url, body, 120) as response:
                return json.load(response)
        except urllib.error.HTTPError as error:
            raise RuntimeError(f"oav failed: {error.read().decode()}") from None
