"""Render the report page as one self-contained HTML file with data, style and script."""

from __future__ import annotations

import base64
import hashlib
import json
from html import escape
from importlib.resources import files
from typing import Any

# In the order of their dependencies.
SCRIPTS = (
    *("format.js", "tables.js", "incidents.js", "heat_map.js"),
    *("chart_drawing.js", "chart.js", "drill.js", "page.js"),
)


def render_page(data: dict[str, Any], summary_text: str) -> str:
    """Render the page as self-contained HTML.

    Its content security policy names its own script and style by their hashes and forbids the rest,
    so even an id that slipped through the escaping could not run.

    Parameters
    ----------
    data : dict
        As :func:`page_data.collect_page_data` returns it.
    summary_text : str
        Shown where scripts are switched off.
    """
    style = _template("page.css")
    script = '"use strict";\n(() => {\n' + "\n".join(_template(name) for name in SCRIPTS) + "})();\n"
    parts = {
        "policy": f"default-src 'none'; img-src data:; base-uri 'none'; form-action 'none'; "
        f"style-src '{_digest(style)}'; script-src '{_digest(script)}'",
        "style": style,
        "script": script,
        "summary": escape(summary_text),
        "data": write_json(data),
    }
    pieces = _template("page.html").split("@@")
    return "".join(parts[piece] if i % 2 else piece for i, piece in enumerate(pieces))


def write_json(data: Any) -> str:
    r"""Write JSON that is safe inside a ``<script>`` element: no ``<``, ``>`` or ``&``, no line separators.

    Examples
    --------
    >>> write_json(["</script>"])
    '["\\u003c/script\\u003e"]'
    """
    text = json.dumps(data, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text


def _template(name: str) -> str:
    return (files(__package__) / "assets" / name).read_text(encoding="utf-8")


def _digest(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode("utf-8")).digest()).decode("ascii")
