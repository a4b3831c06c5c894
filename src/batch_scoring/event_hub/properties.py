"""Write as JSON what is stated of an event beside its body: its device as IoT Hub knows it, properties."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

DEVICE, ENQUEUED = "iothub-connection-device-id", "iothub-enqueuedtime"
_SYSTEM = (DEVICE, "iothub-connection-module-id", ENQUEUED, "iothub-message-source")


def properties_text(system: Mapping[Any, Any] | None, application: Mapping[Any, Any] | None) -> str | None:
    """Write what concerns a reading of the properties of an event; None where nothing does.

    Parameters
    ----------
    system : mapping
        Annotations of the services; what Event Hubs states is left out.
    application : mapping
        What the sender added.

    Examples
    --------
    >>> properties_text({b"iothub-connection-device-id": b"unit-a", b"x-opt-offset": b"0"}, {b"line": 7})
    '{"iothub-connection-device-id": "unit-a", "properties": {"line": 7}}'
    >>> properties_text({b"x-opt-offset": b"0"}, None) is None
    True
    """
    named = {text_of(name): value for name, value in (system or {}).items()}
    found = {name: _plain(named[name], name == ENQUEUED) for name in _SYSTEM if named.get(name) is not None}
    own = {text_of(name): _plain(value) for name, value in (application or {}).items() if value is not None}
    stated = found | ({"properties": own} if own else {})
    return json.dumps(stated, ensure_ascii=False) if stated else None


def _plain(value: Any, is_time: bool = False) -> Any:
    if isinstance(value, datetime):
        return value.isoformat()
    if is_time and isinstance(value, int):
        return datetime.fromtimestamp(value / 1000, UTC).isoformat()
    return value if isinstance(value, (bool, int, float)) else text_of(value)


def text_of(value: Any) -> str:
    """Return a value as text; bytes that are no UTF-8 stay visible."""
    return value.decode("utf-8", "backslashreplace") if isinstance(value, bytes) else str(value)
