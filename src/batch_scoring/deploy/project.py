"""Read the parameters of the project in the current folder, for all commands of ``kedro deploy``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast


def project_parameters(env: str | None) -> Mapping[str, Any]:
    """Read all parameters of a Kedro environment."""
    from kedro.framework.session import KedroSession

    with KedroSession.create(env=env) as session:
        return cast("Mapping[str, Any]", cast(KedroSession, session).load_context().params)
