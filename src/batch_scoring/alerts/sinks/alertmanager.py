"""Send alerts to Prometheus' Alertmanager, by version 2 of its API; it groups and routes them itself."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any, ClassVar, Literal

from batch_scoring.alerts.messages import is_over, one_by_one
from batch_scoring.alerts.sinks.base import WHERE, Message
from batch_scoring.alerts.sinks.webhook import HttpSettings
from batch_scoring.core.errors import InputError
from batch_scoring.core.moments import as_text
from batch_scoring.core.parameters import read_time

# The name of the alert, by which a route or an inhibition finds it.
ALERT_NAME = "DeviceAnomaly"


@dataclass(frozen=True)
class Settings(HttpSettings):
    """Alertmanager at ``url``, such as ``http://127.0.0.1:9093``.

    Alertmanager takes an alert for over that is not sent again: an open one is sent with an end
    ``expires_after`` from when it was noticed, and anew with each change or reminder.
    """

    expires_after: timedelta = timedelta(days=7)
    type: Literal["alertmanager"] = "alertmanager"
    name: str = "alertmanager"

    path: ClassVar[str] = "/api/v2/alerts"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.expires_after <= timedelta(0):
            raise InputError(f"{WHERE}: {self.name} needs an expires_after above 0, such as '7d'")

    def payload(self, message: Message) -> Any:
        """Write an alert for each event: in a storm, too, all in one request."""
        return [self._alert(one) for one in one_by_one(message)]

    def _alert(self, event: Message) -> dict[str, Any]:
        at = read_time(event["at"], "at")
        # One that is over ends now; Alertmanager refuses an end before the start.
        ends = at if is_over(event) else at + self.expires_after
        starts = min(read_time(event["start"], "start"), ends)
        labels = {
            "alertname": ALERT_NAME,
            "incident_id": event["incident_id"],
            "kind": event["kind"],
            "device": event["device"],
            "sensor": event["sensors"][0] if event["sensors"] else "",
        }
        return {
            # Labels are the alert's identity: what may change, such as the level, is not a label.
            "labels": {name: value for name, value in labels.items() if value},
            "annotations": {
                "summary": event["title"],
                "description": event["text"],
                "level": event["level"],
                "sensors": ", ".join(event["sensors"]),
            },
            "startsAt": as_text(starts),
            "endsAt": as_text(ends),
            **({"generatorURL": event["link"]} if event["link"] else {}),
        }
