"""Send events to PagerDuty, by version 2 of its Events API: an incident triggers, and is resolved."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from batch_scoring.alerts.messages import SEVERAL, facts, is_over
from batch_scoring.alerts.sinks.base import WHERE, Message, ReadSecret
from batch_scoring.alerts.sinks.webhook import HttpSettings, as_json
from batch_scoring.core.errors import InputError
from batch_scoring.core.text import cut

_SEVERITIES = {"low": "info", "medium": "warning", "high": "error", "critical": "critical"}
# What PagerDuty accepts, in characters.
_SUMMARY, _KEY = 1024, 255
_CLIENT = "batch_scoring"


@dataclass(frozen=True)
class Settings(HttpSettings):
    """A service of PagerDuty, by the integration key that ``routing_key_from`` names."""

    routing_key_from: str | None = None
    type: Literal["pagerduty"] = "pagerduty"
    name: str = "pagerduty"

    default_url: ClassVar[str | None] = "https://events.pagerduty.com/v2/enqueue"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.routing_key_from is None:
            raise InputError(f"{WHERE}: {self.name} needs routing_key_from, the name of a secret")

    def body(self, secret: ReadSecret, message: Message) -> bytes:
        """Serialise an event; events of one incident have one ``dedup_key``."""
        event = {"routing_key": secret(self.routing_key_from), **self.payload(message)}
        return as_json(event)

    def payload(self, message: Message) -> Any:
        """Write an event without its routing key.

        A message that stands for many events triggers one alert, which a person resolves.
        """
        key = message["event_id"] if message["change"] == SEVERAL else message["incident_id"]
        event = {"event_action": "resolve" if is_over(message) else "trigger", "dedup_key": key[:_KEY]}
        if is_over(message):
            return event
        levels = message.get("levels") or {message.get("level"): 1}
        worst = next((_SEVERITIES[one] for one in reversed(_SEVERITIES) if one in levels), "info")
        payload = {
            "summary": cut(message["title"], _SUMMARY),
            "source": cut(message.get("device") or _CLIENT, _SUMMARY),
            "severity": worst,
            "timestamp": message["at"],
            "component": ", ".join(message.get("sensors", []))[:_SUMMARY],
            "class": message.get("kind", SEVERAL),
            "custom_details": {"text": message["text"], **dict(facts(message))},
        }
        event |= {"payload": payload, "client": _CLIENT}
        if message["link"]:
            event |= {
                "client_url": message["link"],
                "links": [{"href": message["link"], "text": "Look at it"}],
            }
        return event
