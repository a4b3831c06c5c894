"""Read ``--params``: ids keep their text, everything else is read as Kedro reads it."""

from __future__ import annotations

import re
from typing import Any

import click
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

ID_PARAMETERS = ("device", "sensor")


def split_params(ctx: click.Context, param: click.Parameter, value: Any) -> Any:
    """Read ``--params``; ids keep their text, everything else is read as Kedro reads it.

    Kedro reads ``device=007`` as the number 7. Here ``device=007``, ``device=7`` and ``device=7.0``
    are three ids. ``device=[7,8]`` and ``device=7,device=8`` are lists; quotes protect
    commas and brackets in an id. Other parameters may be lists too, which Kedro would cut apart. Between
    name and value stands ``=`` or ``:``, whichever comes first.

    Examples
    --------
    >>> split_params(None, None, 'device=007,sensor=["a,b",c]')
    {'device': '007', 'sensor': ['a,b', 'c']}
    >>> split_params(None, None, "device:a=b,sensor=c:d")
    {'device': 'a=b', 'sensor': 'c:d'}
    """
    if isinstance(value, dict):
        return value
    ids: dict[str, list[str]] = {}
    rest = []
    for item in split_outside_quotes(value):
        name, text = name_and_value(item)
        if name in ID_PARAMETERS and text is not None:
            ids.setdefault(name, []).extend(_read_id_list(text))
        else:
            rest.append(item if text is None else f"{name}={text}")
    selected = {key: texts[0] if len(texts) == 1 else texts for key, texts in ids.items()}
    return _read_dotlist(ctx, rest) | selected


def _read_dotlist(ctx: click.Context, items: list[str]) -> dict[str, Any]:
    """Read ``key.subkey=value`` items, values as YAML, as Kedro does."""
    for item in items:
        name, text = name_and_value(item)
        if not name or text is None:
            ctx.fail(f"--params: {item!r} is not valid; expected name=value, items separated by commas")
        try:
            OmegaConf.from_dotlist([item])
        except (YAMLError, OmegaConfBaseException):
            ctx.fail(
                f"--params: {item!r} is not valid; expected a value as in YAML, with every bracket and quote "
                f"closed, and text that begins with one in quotes, such as {name}='[a]'"
            )
    params: Any = OmegaConf.to_container(OmegaConf.from_dotlist(items))
    return dict(params)


def name_and_value(item: str) -> tuple[str, str | None]:
    """Split an item at its first ``=`` or ``:``; the value is None where there is neither.

    Examples
    --------
    >>> name_and_value("at=2026-01-05T10:00"), name_and_value("sensor: x"), name_and_value("x")
    (('at', '2026-01-05T10:00'), ('sensor', ' x'), ('x', None))
    """
    name, separator, text = re.match(r"([^=:]*)([=:]?)(.*)", item, re.DOTALL).groups()  # type: ignore[union-attr]
    return name.strip(), text if separator else None


def split_outside_quotes(text: str) -> list[str]:
    """Split at the commas that are neither in quotes nor in brackets or braces."""
    in_brackets = r"""\[(?:"[^"]*"|'[^']*'|[^\]"'])*\]|\{(?:"[^"]*"|'[^']*'|[^}"'])*\}"""
    items = re.findall(rf"""(?:"[^"]*"|'[^']*'|{in_brackets}|[^,])+""", text)
    return [item.strip() for item in items if item.strip()]


def _read_id_list(text: str) -> list[str]:
    text = text.strip()
    if text.startswith("[") and text.endswith("]"):
        return [_unquote(item) for item in split_outside_quotes(text[1:-1])]
    return [_unquote(text)]


def _unquote(text: str) -> str:
    text = text.strip()
    return text[1:-1] if len(text) >= 2 and text[0] == text[-1] and text[0] in "\"'" else text
