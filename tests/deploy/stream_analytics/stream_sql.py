"""Stream Analytics' SQL executed on tables: parsed by sqlglot, translated to DuckDB, the unknown refused.

What is translated, and by which promise of the service (Stream Analytics query language reference):

- every event has a timestamp, ``TIMESTAMP BY`` gives it; every step's rows have one, too: that of the
  window they come from, else that of the row; ``System.Timestamp()`` is it.
- ``TumblingWindow(Duration(u, n), Offset(u, m))`` is ``(k·n + m, (k+1)·n + m]`` since midnight, and its
  timestamp is its end; ``GROUP BY System.Timestamp()`` is a window of one timestamp.
- ``LAG … LIMIT DURATION`` looks at the rows of the partition in the order of their timestamps.

What is not: policies for late and disordered events. The streams here are complete and whole.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from sqlglot import TokenType, exp
from sqlglot.dialects.tsql import TSQL

MICROSECONDS = {"microsecond": 1, "second": 10**6, "minute": 60 * 10**6, "hour": 3600 * 10**6}
TIME = '"the row\'s timestamp"'


class UnknownSyntaxError(Exception):
    """Something in the query that the translation does not know."""


class StreamAnalytics(TSQL):
    """T-SQL with TIMESTAMP BY … OVER …, PARTITION BY behind a table, and LIMIT DURATION in OVER."""

    class Parser(TSQL.Parser):
        def _parse_table_alias(self, alias_tokens=None):
            if self._curr.text.upper() in ("TIMESTAMP", "PARTITION") and self._next.text.upper() == "BY":
                return None
            return super()._parse_table_alias(alias_tokens)

        def _parse_table(self, *args, **kwargs):
            table = super()._parse_table(*args, **kwargs)
            if self._match_text_seq("TIMESTAMP", "BY"):
                table.set("timestamp_by", self._parse_disjunction())
                if self._match(TokenType.OVER):
                    table.set("timestamp_over", self._parse_csv(self._parse_disjunction))
            if partition := self._parse_partition_by():
                table.set("stream_partition", partition)
            return table

        def _parse_partition_and_order(self):
            partition, order = super()._parse_partition_and_order()
            if self._match(TokenType.LIMIT):
                partition = [*partition, self._parse_function()]
            return partition, order


def to_duckdb(query: str, limit_is_inclusive: bool = True) -> str:
    """The query in DuckDB's SQL.

    Parameters
    ----------
    query : str
        One SELECT … INTO …, with steps before it.
    limit_is_inclusive : bool
        Whether LAG still sees a row just as old as its LIMIT DURATION; the reference does not tell.

    Raises
    ------
    UnknownSyntaxError
        On anything that is not translated.
    """
    parsed = StreamAnalytics().parse(query)
    if len(parsed) != 1 or not isinstance(parsed[0], exp.Select):
        raise UnknownSyntaxError("one SELECT is expected")
    return _Query(limit_is_inclusive).translate(parsed[0])


class _Query:
    def __init__(self, limit_is_inclusive: bool) -> None:
        self.limit_operator = "<=" if limit_is_inclusive else "<"
        self.steps: set[str] = set()

    def translate(self, select: exp.Select) -> str:
        steps = []
        with_ = select.args.get("with_")
        for step in with_.expressions if with_ else ():
            _only(step, "this", "alias")
            name = step.alias
            steps.append(f'"{name}" AS ({_Select(step.this, self).sql()})')
            self.steps.add(name)
        if not isinstance(select.args.get("into"), exp.Into):
            raise UnknownSyntaxError("SELECT without INTO")
        last = _Select(select, self, is_last=True).sql()
        return f"WITH {', '.join(steps)} {last}" if steps else last


class _Select:
    """One SELECT; its rows have the column ``TIME`` besides."""

    def __init__(self, select: exp.Select, query: _Query, is_last: bool = False) -> None:
        if not isinstance(select, exp.Select):
            raise UnknownSyntaxError(f"a step that is no SELECT: {select.key}")
        _only(
            select,
            "expressions",
            "from_",
            "where",
            "group",
            "having",
            *(["with_", "into"] if is_last else []),
        )
        self.select, self.query, self.is_last = select, query, is_last
        self.source = select.args["from_"].this
        _only(self.source, "this", "timestamp_by", "timestamp_over", "stream_partition")
        self.keys, self.window = self._grouping()
        self.aliases = {e.alias_or_name for e in select.expressions}

    def sql(self) -> str:
        columns = [f'{self.value(e.unalias())} AS "{e.alias_or_name}"' for e in self.select.expressions]
        if not self.is_last:
            columns.append(f"{self.time} AS {TIME}")
        parts = [f"SELECT {', '.join(columns)} FROM {self._rows()}"]
        if self.window is not None:
            keys = [self.value(key) for key in self.keys]
            parts.append(f"GROUP BY {', '.join([*keys, self.time])}")
        if having := self.select.args.get("having"):
            parts.append(f"HAVING {self.value(having.this)}")
        return " ".join(parts)

    def _rows(self) -> str:
        name = self.source.name
        where = self.select.args.get("where")
        by = self.source.args.get("timestamp_by")
        if (name in self.query.steps) == (by is not None):
            raise UnknownSyntaxError(f"{name}: a step has its timestamps, an input needs TIMESTAMP BY")
        self._check_over()
        timed = f", CAST({self.value(by)} AS TIMESTAMP) AS {TIME}" if by is not None else ""
        condition = f" WHERE {self.value(where.this)}" if where else ""
        return f'(SELECT *{timed} FROM "{name}"{condition})'

    def _check_over(self) -> None:
        """With TIMESTAMP BY … OVER, its columns are keys of every GROUP BY."""
        over = [one.sql("tsql") for one in self.source.args.get("timestamp_over") or ()]
        if over and self.window is not None and not set(over) <= {key.sql("tsql") for key in self.keys}:
            raise UnknownSyntaxError(f"GROUP BY without the columns of TIMESTAMP BY … OVER: {over}")

    def _grouping(self) -> tuple[list[exp.Column], exp.Expression | None]:
        group = self.select.args.get("group")
        if group is None:
            return [], None
        _only(group, "expressions")
        keys = [e for e in group.expressions if isinstance(e, (exp.Column, exp.Coalesce))]
        windows = [e for e in group.expressions if e not in keys]
        if len(windows) != 1:
            raise UnknownSyntaxError("GROUP BY needs one window")
        return keys, windows[0]

    @property
    def time(self) -> str:
        """The timestamp of the rows that this SELECT makes."""
        if self.window is None or _is_system_timestamp(self.window):
            return TIME
        name, arguments = _call(self.window)
        if name != "TUMBLINGWINDOW" or len(arguments) != 2:
            raise UnknownSyntaxError(f"window {name}")
        length, offset = (_duration(a, key) for a, key in zip(arguments, ("DURATION", "OFFSET"), strict=True))
        # Rounded up, in whole numbers; all times are after 1970.
        number = f"(epoch_us({TIME}) - ({offset}) + {length - 1}) // {length}"
        return f"make_timestamp({offset} + {length} * ({number}))"

    def value(self, node: exp.Expression) -> str:
        """An expression in DuckDB's SQL."""
        if _is_system_timestamp(node):
            return self.time
        handler = _HANDLERS.get(type(node))
        if handler is None:
            raise UnknownSyntaxError(f"{type(node).__name__}: {node.sql()}")
        return handler(self, node)


def _column(of: _Select, node: exp.Column) -> str:
    _only(node, "this")
    return f'"{node.name}"'


def _constant(of: _Select, node: exp.Literal) -> str:
    return node.sql("duckdb")


def _binary(operator: str) -> Callable[[_Select, exp.Expression], str]:
    def sql(of: _Select, node: exp.Expression) -> str:
        _only(node, "this", "expression")
        return f"({of.value(node.this)} {operator} {of.value(node.expression)})"

    return sql


def _aggregate(name: str) -> Callable[[_Select, exp.Expression], str]:
    def sql(of: _Select, node: exp.Expression) -> str:
        _only(node, "this", "big_int")
        if of.window is None:
            raise UnknownSyntaxError(f"{name} without a window")
        return f"{name}({of.value(node.this)})"

    return sql


def _function(of: _Select, node: exp.Anonymous) -> str:
    """The aggregates that sqlglot does not know, and what an IoT Hub states of an event: a column here."""
    if node.name.upper() == "GETMETADATAPROPERTYVALUE":
        name = re.fullmatch(r"\[EventHub\]\.\[(IoTConnectionDeviceId)\]", node.expressions[1].name)
        if name is None or node.expressions[0].name != of.source.name:
            raise UnknownSyntaxError(node.sql())
        return f'"{name[1]}"'
    if node.name.upper() != "STDEVP" or len(node.expressions) != 1 or of.window is None:
        raise UnknownSyntaxError(node.sql())
    return f"stddev_pop({of.value(node.expressions[0])})"


def _coalesce(of: _Select, node: exp.Coalesce) -> str:
    _only(node, "this", "expressions")
    return f"coalesce({', '.join(of.value(one) for one in (node.this, *node.expressions))})"


def _cast(of: _Select, node: exp.Cast) -> str:
    _only(node, "this", "to", "safe", "requires_string", "_type")
    kind = {"FLOAT": "DOUBLE", "NVARCHAR(MAX)": "VARCHAR"}.get(node.to.sql("tsql").upper())
    if kind is None:
        raise UnknownSyntaxError(f"CAST to {node.to.sql('tsql')}")
    inner = of.value(node.this)
    if kind == "VARCHAR":
        # The service writes times as ISO 8601 with seven digits of a second.
        time = f"strftime(TRY_CAST({inner} AS TIMESTAMP), '%Y-%m-%dT%H:%M:%S.%f0Z')"
        return f"CASE typeof({inner}) WHEN 'TIMESTAMP' THEN {time} ELSE CAST({inner} AS VARCHAR) END"
    return f"{'TRY_CAST' if isinstance(node, exp.TryCast) else 'CAST'}({inner} AS {kind})"


def _case(of: _Select, node: exp.Case) -> str:
    _only(node, "ifs", "default")
    branches = [f"WHEN {of.value(i.this)} THEN {of.value(i.args['true'])}" for i in node.args["ifs"]]
    return f"CASE {' '.join(branches)} ELSE {of.value(node.args['default'])} END"


def _is_null(of: _Select, node: exp.Is) -> str:
    if not isinstance(node.expression, exp.Null):
        raise UnknownSyntaxError(node.sql())
    return f"({of.value(node.this)} IS NULL)"


def _not(of: _Select, node: exp.Not) -> str:
    return f"(NOT {of.value(node.this)})"


def _abs(of: _Select, node: exp.Abs) -> str:
    return f"abs({of.value(node.this)})"


def _negative(of: _Select, node: exp.Neg) -> str:
    return f"(-{of.value(node.this)})"


def _parentheses(of: _Select, node: exp.Paren) -> str:
    return f"({of.value(node.this)})"


def _date_add(of: _Select, node: exp.DateAdd) -> str:
    unit = node.args["unit"].name.lower()
    if unit not in MICROSECONDS:
        raise UnknownSyntaxError(f"DATEADD of {unit}")
    date = node.this.this if isinstance(node.this, (exp.Cast, exp.TimeStrToTime)) else node.this
    return f"({of.value(date)} + to_microseconds({MICROSECONDS[unit]} * {of.value(node.expression)}))"


def _concat(of: _Select, node: exp.Concat) -> str:
    return "(" + " || ".join(of.value(part) for part in node.expressions) + ")"


def _substring(of: _Select, node: exp.Substring) -> str:
    return (
        f"substring({of.value(node.this)}, {of.value(node.args['start'])}, {of.value(node.args['length'])})"
    )


def _window(of: _Select, node: exp.Window) -> str:
    """LAG, and the aggregates that are written with OVER."""
    _only(node, "this", "partition_by", "order", "over")
    if isinstance(node.this, exp.Lag):
        return _lag(of, node)
    name, arguments = _call(node.this)
    if of.window is None or node.args.get("partition_by") or len(arguments) != 1:
        raise UnknownSyntaxError(node.sql())
    (ordered,) = node.args["order"].expressions
    _only(ordered, "this", "desc", "nulls_first")
    argument, by = of.value(arguments[0]), of.value(ordered.this)
    if name == "TOPONE":
        return f"{'arg_max' if ordered.args.get('desc') else 'arg_min'}({argument}, {by})"
    if name == "PERCENTILE_CONT" and not ordered.args.get("desc"):
        return f"quantile_cont({by}, {argument})"
    raise UnknownSyntaxError(f"{name} OVER")


def _lag(of: _Select, node: exp.Window) -> str:
    """LAG reads what goes into the SELECT, before any WHERE or GROUP BY of it."""
    _only(node.this, "this")
    *partition, limit = node.args["partition_by"]
    if of.window is not None or of.select.args.get("where") or node.args.get("order"):
        raise UnknownSyntaxError(node.sql())
    over = f"(PARTITION BY {', '.join(of.value(key) for key in partition)} ORDER BY {TIME})"
    age = f"epoch_us({TIME}) - epoch_us(lag({TIME}) OVER {over})"
    within = f"{age} {of.query.limit_operator} {_duration(limit, 'DURATION')}"
    return f"CASE WHEN {within} THEN lag({of.value(node.this.this)}) OVER {over} END"


_HANDLERS: dict[type[exp.Expression], Callable[..., str]] = {
    exp.Column: _column,
    exp.Literal: _constant,
    exp.Star: lambda of, node: "*",
    exp.Paren: _parentheses,
    exp.Abs: _abs,
    exp.Not: _not,
    exp.Neg: _negative,
    exp.Is: _is_null,
    exp.Case: _case,
    exp.Cast: _cast,
    exp.Coalesce: _coalesce,
    exp.TryCast: _cast,
    exp.Concat: _concat,
    exp.Substring: _substring,
    exp.DateAdd: _date_add,
    exp.Window: _window,
    exp.Anonymous: _function,
    **{kind: _binary(sign) for kind, sign in [
        (exp.And, "AND"), (exp.Or, "OR"), (exp.EQ, "="), (exp.NEQ, "<>"), (exp.GT, ">"), (exp.GTE, ">="),
        (exp.LT, "<"), (exp.LTE, "<="), (exp.Sub, "-"),
    ]},
    **{kind: _aggregate(name) for kind, name in [
        (exp.Avg, "avg"), (exp.Min, "min"), (exp.Max, "max"), (exp.Sum, "sum"), (exp.Count, "count"),
    ]},
}  # fmt: skip


def _only(node: exp.Expression, *known: str) -> None:
    """Raise when a node has a part that is not looked at."""
    for name, part in node.args.items():
        if part not in (None, False, []) and name not in known:
            raise UnknownSyntaxError(f"{type(node).__name__} with {name}: {node.sql()}")


def _call(node: exp.Expression) -> tuple[str, list[exp.Expression]]:
    if isinstance(node, exp.Anonymous):
        return node.name.upper(), node.expressions
    if isinstance(node, exp.PercentileCont):
        return "PERCENTILE_CONT", [node.this]
    raise UnknownSyntaxError(f"{type(node).__name__}: {node.sql()}")


def _duration(node: exp.Expression, name: str) -> int:
    """``Duration(minute, 5)`` in microseconds."""
    called, arguments = _call(node)
    if called != name or len(arguments) != 2 or arguments[0].name.lower() not in MICROSECONDS:
        raise UnknownSyntaxError(node.sql())
    sign, number = (-1, arguments[1].this) if isinstance(arguments[1], exp.Neg) else (1, arguments[1])
    return sign * int(number.name) * MICROSECONDS[arguments[0].name.lower()]


def _is_system_timestamp(node: exp.Expression) -> bool:
    return (
        isinstance(node, exp.Dot)
        and node.this.name.upper() == "SYSTEM"
        and isinstance(node.expression, (exp.Anonymous, exp.Timestamp))
        and node.expression.name.upper() in ("TIMESTAMP", "")
        and not node.expression.expressions
    )
