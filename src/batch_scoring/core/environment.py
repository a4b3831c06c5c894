"""Read configuration from environment variables, as containers receive it, or as `kedro deploy env` kept it.

Kedro reads this module at every start, so it imports nothing heavy.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from batch_scoring.core.errors import InputError


def variable(name: str, default: str | None = None, deployed: str | None = None) -> str | None:
    """Return a variable's text; ``${environment:NAME,default,deployed}`` in a file below ``conf/``.

    An empty variable counts as not set.

    Parameters
    ----------
    name : str
    default : str, optional
        Where neither the process nor the deployment has it.
    deployed : str, optional
        The Kedro environment whose :func:`deployed_file` has the variables of the deployment.
    """
    return os.environ.get(name) or _deployed(deployed).get(name) or default


def group(name: str, deployed: str | None = None) -> dict[str, Any]:
    """Read settings from a variable with a JSON object; ``${environment_json:NAME,deployed}``.

    Empty if not set; ``deployed`` as in :func:`variable`.

    Raises
    ------
    InputError
        When it is not a JSON object.
    """
    import json

    text = variable(name, deployed=deployed)
    if not text:
        return {}
    try:
        read = json.loads(text)
    except ValueError:
        read = None
    if not isinstance(read, dict):
        raise InputError(f"{name}: not a valid JSON object; expected one such as {{}}, or no value")
    return read


def deployed_file(env: str) -> Path:
    """Return the file with the variables of the deployment of a Kedro environment, there or not.

    It lies in the project of the current folder, or of one above it.
    """
    here = Path.cwd()
    root = next((one for one in (here, *here.parents) if (one / "conf" / env).is_dir()), here)
    return root / "conf" / env / "deployed.json"


def _deployed(env: str | None) -> dict[str, str]:
    if env is None or not (file := deployed_file(env)).is_file():
        return {}
    import json

    try:
        return {str(name): str(value) for name, value in json.loads(file.read_text("utf-8")).items()}
    except (ValueError, AttributeError):
        raise InputError(f"{file}: not a valid JSON object; run `kedro deploy env --env {env}`") from None
