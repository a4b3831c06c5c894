"""Where events go: a log, a file, a webhook, an Event Hub.

A new sink is a module here with a dataclass ``Settings`` (see ``base.SinkSettings``) and the sink that it
opens (see ``base.Sink``), and the module's name in ``TYPES``: it is the sink's ``type``. The recipe is
``docs/how-to/add-a-sink.md``.
"""

TYPES = ("log", "file", "webhook", "event_hub")
