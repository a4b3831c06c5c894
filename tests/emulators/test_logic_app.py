"""The player is as strict as the service: what it does not know, or what names nothing, is refused."""

import copy

import pytest

from tests.deploy.workflow.deployed import definition, parameters
from tests.emulators.logic_app import DefinitionError, LogicApp, check
from tests.emulators.logic_app.expressions import PURE, Expression, ExpressionError, evaluate
from tests.emulators.logic_app.http_action import seconds_of

PARAMETERS = parameters("https://management.azure.com", "/subscriptions/s/resourceGroups/g")


def changed(*path, to):
    """The shipped definition with one thing in it changed."""
    made = copy.deepcopy(definition())
    *above, last = path
    place = made
    for name in above:
        place = place[name]
    place[last] = to
    return made


def test_the_shipped_definition_is_taken():
    for pipeline in ("score", "train"):
        check(definition(pipeline), PARAMETERS)
    assert LogicApp(definition(), PARAMETERS).runs == []


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        (changed("$schema", to="another"), "unknown schema"),
        (changed("parameters", "more", to={"type": "String"}), "not on both sides"),
        (changed("triggers", "Scheduled", "type", to="Http"), "not known here"),
        (changed("triggers", "Scheduled", "recurrence", "interval", to="1"), "no interval"),
        (changed("actions", "Log", "type", to="Function"), "not known here"),
        (changed("actions", "Log", "limits", to={}), "unknown limits"),
        (changed("actions", "Log", "runAfter", to={"Nothing": ["Succeeded"]}), "no action 'Nothing'"),
        (changed("actions", "Log", "runAfter", to={"Delete": ["Succeeded"]}), "wait for each other"),
        (changed("actions", "Log", "runAfter", to={"Create": ["Done"]}), "unknown status"),
        (changed("actions", "Log", "inputs", "uri", to="@outputs('Nothing')"), "no action 'Nothing'"),
        (changed("actions", "Log", "inputs", "uri", to="@variables('x')"), "no variable 'x'"),
        (changed("actions", "Log", "inputs", "uri", to="@parameters('x')"), "no parameter 'x'"),
        (changed("actions", "Log", "inputs", "uri", to="@shout('x')"), "unknown function 'shout'"),
        (changed("actions", "Log", "inputs", "authentication", to={"type": "Raw"}), "signs in with a secret"),
        (
            changed("actions", "Log", "inputs", "authentication", "identity", to="@parameters('x')"),
            "the identity is an expression",
        ),
        (changed("actions", "Create", "inputs", "retryPolicy", "count", to=91), "retryPolicy.count"),
    ],
)
def test_what_the_service_would_refuse_is_refused(wrong, why):
    with pytest.raises(DefinitionError, match=why):
        check(wrong, PARAMETERS)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("concat('a', 'it''s', string(3))", "ait's3"),
        ("coalesce(null, 'b')", "b"),
        ("if(equals(1, 1), 'yes', 'no')", "yes"),
        ("equals('1', 1)", False),
        ("createArray(1, true, null)[1]", True),
        ("createArray(1)?[5]", None),
        ("coalesce(null)?['a']?['b']", None),
        ("substring('/subscriptions', 1)", "subscriptions"),
        ("contains(createArray('a'), 'a')", True),
    ],
)
def test_expressions_are_evaluated(text, value):
    assert Expression(text).evaluate(PURE) == value


@pytest.mark.parametrize("text", ["concat('a'", "concat('a'))", "a", "'open", "concat('a' 'b')", "", "1 2"])
def test_what_is_no_expression_is_refused(text):
    with pytest.raises(ExpressionError):
        Expression(text)


@pytest.mark.parametrize("text", ["createArray(1)[5]", "shout('a')", "substring('a', 5)", "concat(null)"])
def test_what_cannot_be_evaluated_is_an_error(text):
    with pytest.raises(ExpressionError):
        Expression(text).evaluate(PURE)


def test_values_are_evaluated_at_any_depth_and_a_doubled_sign_is_one():
    assert evaluate({"a": ["@string(1)", "@@home", 2]}, PURE) == {"a": ["1", "@home", 2]}
    with pytest.raises(ExpressionError, match="use concat"):
        evaluate("x@{string(1)}", PURE)


def test_durations_are_read():
    assert [seconds_of(text) for text in ("PT5S", "PT55M", "P1DT2H")] == [5, 3300, 93600]
