"""Where events go: a log, a file, a webhook, an Event Hub.

A sink is three edits: a class here, as ``base.Sink`` says (copy ``webhook.py``); its settings in
``alerts/settings.py`` (``SinkSettings`` and ``_KINDS``); and its ``case`` in ``datasets/alert_sinks.py``.
"""
