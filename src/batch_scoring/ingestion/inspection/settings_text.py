"""Write settings as ``--params`` and as YAML, so that both are read back as they were."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

# Texts that YAML reads as they stand. Of other words, such as "on" or "12", it would make something else.
_PLAIN = re.compile(r"(\.{0,2}/)?[A-Za-z_][\w./-]*")
_WORDS = frozenset(("true", "false", "yes", "no", "on", "off", "y", "n", "null", "nan", "inf"))
_IN_QUOTES_OF_A_SHELL = re.compile(r'(["$`\\])')


def params_text(settings: Mapping[str, Any], group: str = "ingest") -> str:
    """Write settings as one text for ``--params``.

    Parameters
    ----------
    settings : mapping
        By dotted names below the group.
    group : str

    Examples
    --------
    >>> params_text({"columns.timestamp": "Datum", "decimal": ","})
    "ingest.columns.timestamp=Datum,ingest.decimal=','"
    """
    return ",".join(f"{group}.{name}={value_text(value)}" for name, value in settings.items())


def shell_quoted(text: str) -> str:
    r"""Quote a text for a shell, with double quotes.

    Examples
    --------
    >>> print(shell_quoted("a=$b"))
    "a=\$b"
    """
    return '"' + _IN_QUOTES_OF_A_SHELL.sub(r"\\\1", text) + '"'


def yaml_text(tree: Mapping[str, Any], indent: int = 0) -> str:
    """Write nested settings as YAML.

    Examples
    --------
    >>> print(yaml_text({"ingest": {"decimal": ",", "missing": [-200, "?"]}}))
    ingest:
      decimal: ','
      missing: [-200, '?']
    """
    lines = []
    for name, value in tree.items():
        if isinstance(value, Mapping) and indent < 4 and name != "words":
            lines += [f"{' ' * indent}{name}:", yaml_text(value, indent + 2)]
        else:
            lines.append(f"{' ' * indent}{value_text(name)}: {value_text(value)}")
    return "\n".join(lines)


def value_text(value: Any) -> str:
    """Write a value so that YAML and ``--params`` read it back as it was."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{value_text(key)}: {value_text(one)}" for key, one in value.items()) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(map(value_text, value)) + "]"
    if not isinstance(value, str):
        return repr(value)
    if _PLAIN.fullmatch(value) and value.casefold() not in _WORDS:
        return value
    return "'" + value.replace("'", "''") + "'"
