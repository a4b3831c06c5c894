"""Push an image: log in for this once, push, and report the image's digest."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

from batch_scoring.deploy.image.engine import digest_in, login_command, output_of, push_commands, run
from batch_scoring.deploy.image.registry import Login


def push(engine: str, local: str, remote: str, login: Login | None, more: Sequence[str] = ()) -> str:
    """Push an image of this machine; return its digest in the registry.

    Parameters
    ----------
    engine : str
        ``podman`` or ``docker``.
    local, remote : str
        Its names here and there.
    login : Login or None
        None: as the engine is logged in already.
    more : sequence of str
        Other options for the engine, of both login and push.
    """
    # Neither token nor password is left on this machine.
    with tempfile.TemporaryDirectory(prefix="batch_scoring_") as name:
        folder = Path(name)
        if login is not None:
            registry = remote.partition("/")[0]
            run(login_command(engine, folder, registry, login.user, more), password=login.password)
        *commands, show = push_commands(engine, folder, local, remote, logged_in=login is not None, more=more)
        for command in commands:
            run(command)
        return digest_in(output_of(show), remote)
