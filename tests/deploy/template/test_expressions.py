"""Expressions come to what Azure makes of them, and what is none is said to be none."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batch_scoring.deploy.template.expressions import Constant, ExpressionError, Open, Place, parse


def value(text, **parameters):
    return Place("rg", "westeurope", parameters, {"two": "[concat('a', parameters('b'))]"}).value(text)


@pytest.mark.slow
@given(st.text())
def test_any_text_comes_through_an_expression_as_it_was(text):
    quoted = text.replace("'", "''")
    assert parse(f"['{quoted}']") == Constant(text)
    assert value(f"[concat('{quoted}', 'x')]") == f"{text}x"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[[not an expression]", "[not an expression]"),
        ("plain", "plain"),
        ("[variables('two')]", "aB"),
        ("[if(equals(parameters('b'), 'B'), 1, reference('/x'))]", 1),
        ("[createObject('a', createArray(1, 'x')).a[1]]", "x"),
        (
            "[string(union(createObject('a', createObject('b', 1)), json('{\"a\":{\"c\":2}}')))]",
            '{"a":{"b":1,"c":2}}',
        ),
        (
            "[resourceId('N.T/a/b', 'one', 'two')]",
            "/subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups/rg/providers/N.T/a/one/b/two",
        ),
        ("[extensionResourceId('/s', 'N.T/a', 'one')]", "/s/providers/N.T/a/one"),
        ("[json('1.5')]", 1.5),
        ("[and(not(empty('a')), greater(2, 1))]", True),
        ("[split(replace('https://a:443/', 'https://', ''), ':')[0]]", "a"),
        ("[RESOURCEGROUP().name]", "rg"),
    ],
)
def test_an_expression_comes_to(text, expected):
    assert value(text, b="B") == expected


def test_a_property_that_comes_to_null_is_left_out():
    assert value({"a": "[if(equals(1, 2), 'x', null())]", "[concat('b', '')]": [1]}) == {"b": [1]}


def test_what_only_azure_knows_stays_open_and_is_named():
    place = Place("rg", "westeurope", {}, {})
    assert isinstance(place.value("[concat('https://', reference('/a').b.c, '/')]"), Open)
    assert place.referred == ["/a"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[concat('a']", "a '\\)' is missing"),
        ("[concat('a'))]", "is unexpected"),
        ("[]", "ends too early"),
        ("[a]", "is not a function"),
        ("[concat(#)]", "cannot be read"),
        ("[concat('a').]", "no name follows"),
        ("[concat('a')[1]", "a '\\]' is missing"),
        ("[nonsense('a')]", "there is no function 'nonsense'"),
        ("[parameters('c')]", "there is no parameter 'c'"),
        ("[variables('c')]", "there is no variable 'c'"),
        ("[createObject('a', 1).b]", "there is nothing named 'b'"),
        ("[resourceId('N.T/a/b', 'one')]", "N.T/a/b has 2 names, and is given 1"),
        ("[greater('a')]", "greater\\(\\)"),
        ("[if(equals(1, 1), 2)]", "takes a condition and two values"),
    ],
)
def test_what_is_no_expression_is_told(text, said):
    with pytest.raises(ExpressionError, match=said):
        value(f"{text}" if text.endswith("]") else f"{text}]", b="B")
