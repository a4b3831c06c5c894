"""Where messages go: a log, a file, a webhook, Alertmanager, Slack, Teams, PagerDuty, e-mail, an Event Hub.

A new sink is a module here with a dataclass ``Settings`` (see ``base.SinkSettings``) and the sink that it
opens (see ``base.Sink``), and the module's name in ``TYPES``: it is the sink's ``type``. One that posts JSON
is a ``webhook.HttpSettings`` with a payload of its own. The recipe is ``docs/how-to/add-a-sink.md``.
"""

TYPES = (
    *("log", "file", "webhook"),
    *("alertmanager", "slack", "teams", "pagerduty", "email"),
    "event_hub",
)
