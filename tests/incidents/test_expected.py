"""What led an incident reads right in the sensor's own unit, whatever its size and resolution."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batch_scoring.incidents.expected import expected_words

_NUMBER = r"-?[0-9.]+(?:e-?[0-9]+)?"


def words(found, usual, lower, upper, feature="mean"):
    row = {"top_value": found, "expected": usual, "lower": lower, "upper": upper}
    return expected_words(row | {"top_feature": feature})


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        # Steps of 0.1: the digits of the sensor, also where all readings of training were equal.
        ((3.4, 3.1, 3.013, 3.187, "min"), "3.4, expected 3.0 to 3.2"),
        ((3.4, 3.1, 3.1 - 4e-12, 3.1 + 4e-12, "min"), "3.4, expected 3.1"),
        ((0.1 + 0.2, 0.0, -0.13, 0.13, "diff_mean"), "0.3, expected −0.2 to 0.2"),
        # As many digits as tell the value from the range.
        ((1014.78, 1013.2, 1013.0139, 1013.3861), "1014.78, expected 1013.01 to 1013.39"),
        ((20.43, 20.1, 19.2, 20.42), "20.43, expected 19.20 to 20.42"),
        ((-33.333335, 0.0, -33.3333287585, 0.0), "−33.333335, expected −33.333329 to 0"),
        ((3125.003848, 3125.0, 3125.0, 3125.0038476), "3125.003848, expected 3125.0000000 to 3125.0038476"),
        ((5.0000001, 5.0, 5 - 1e-11, 5 + 1e-11), "5.0000001, expected 5"),
        # Not more digits than that.
        ((26211.471, 0.027, 0.0, 0.072, "std"), "26211, expected up to 0.072"),
        ((3290008.8, 2500189.0, 2457135.8, 2543242.2), "3290009, expected 2457000 to 2544000"),
        ((-98232.6, 469.4, -59499.3, 60438.1, "diff_mean"), "−98233, expected −60000 to 70000"),
        # Sizes of any kind.
        ((6.2474e-06, 3.0006e-06, 2.7079e-06, 3.2933e-06), "6.247e−6, expected 2.7e−6 to 3.3e−6"),
        ((-11.2, -18.4, -19.2004, -17.5996, "max"), "−11.2, expected −19.3 to −17.5"),
        # What all readings of training were, or nothing.
        ((7.0, 0.0, 0.0, 0.0), "7, expected 0"),
        ((5.0, 0.0, -1.3e-308, 1.3e-308), "5, expected 0"),
        ((2e-309, 0.0, 0.0, 0.0), "2e−309, expected 0"),
        ((1.5e300, 1e300, 0.9e300, 1.1e300), "1.5e300, expected 9e299 to 1.1e300"),
        # No spread, length or number is below 0.
        ((0.69, 0.25, -0.05, 0.547, "std"), "0.69, expected up to 0.55"),
        ((0.69, 0.25, 0.0, 0.547, "range"), "0.69, expected up to 0.55"),
        # What is counted is a whole number: 13 in a row are not usual up to 12.79.
        ((45.0, 4.0, None, 12.79, "equal_run"), "45, expected up to 12"),
        ((57.0, 60.0, 57.3, 62.7, "count"), "57, expected 58 to 62"),
        ((12.0, 60.0, 60 - 1e-11, 60 + 1e-11, "count"), "12, expected 60"),
        # Bounds on one side, or none.
        ((3.1, 1.8, 1.9, None), "3.1, usual by itself (1.9 or more)"),
        ((1.1, 1.8, 1.5, None), "1.1, expected 1.5 or more"),
        ((3.1, 1.8, None, None), "3.1, expected 1.8"),
        # Flagged for what the features are together.
        ((0.5713, 0.2245, -0.325, 0.774, "std"), "0.5713, usual by itself (up to 0.78)"),
        ((0.0, 0.0, 0.0, 0.0), "0, usual by itself (0)"),
        # Nothing is known.
        ((3.1, None, None, None), ""),
        ((float("inf"), 1.8, 1.2, 2.4), ""),
        ((float("nan"), 1.8, 1.2, 2.4), ""),
    ],
)
def test_it_has_the_digits_that_matter(row, expected):
    assert words(*row) == expected


@st.composite
def ranges(draw):
    """A value and its range, of any size, resolution and width."""
    size = 10.0 ** draw(st.integers(-6, 7))
    usual = draw(st.floats(-1, 1)) * size
    width = size * 10.0 ** draw(st.floats(-12, 1))
    lower, upper = usual - width * draw(st.floats(0, 1)), usual + width * draw(st.floats(0, 1))
    found = draw(st.sampled_from([lower, usual, upper])) + draw(st.floats(-3, 3)) * draw(
        st.sampled_from([width, size, 0.0])
    )
    decimals = draw(st.sampled_from([None, 1, 2, 6]))
    if decimals is not None:
        found, usual = round(found, decimals), round(usual, decimals)
        lower, upper = min(lower, usual), max(upper, usual)
    # No sensor measures less.
    return tuple(number if abs(number) > 1e-200 else 0.0 for number in (found, usual, lower, upper))


@given(ranges())
def test_a_range_is_not_narrowed_and_a_value_stays_on_its_side(numbers):
    found, usual, lower, upper = numbers
    text = words(*numbers)
    shown, *bounds = map(float, re.findall(_NUMBER, text.replace("−", "-")))
    least, most = min(bounds), max(bounds)
    close = 1e-7 * max(map(abs, numbers)) + 1e-300
    if len(bounds) == 1:  # a range of one value, or too narrow for the digits there are
        assert upper - lower <= close
        # Written with four digits at least.
        assert abs(least - usual) <= 1e-3 * abs(usual) + close
    else:
        slack = 1e-5 * (most - least) + 1e-15 * abs(most)
        assert least - slack <= lower <= usual + slack
        assert usual - slack <= upper <= most + slack
        # Rounding adds at most what two digits leave.
        assert most - least <= 3 * (upper - lower) + close
    is_outside = found < lower or found > upper
    assert ("usual by itself" in text) == (not is_outside)
    # There are twelve digits at most.
    if is_outside and max(lower - found, found - upper) > 1e-10 * max(map(abs, numbers)):
        assert (shown < least) if found < lower else (shown > most)


@given(ranges(), st.sampled_from(["std", "range", "count", "equal_run"]))
def test_what_is_never_negative_has_no_negative_bound(numbers, feature):
    found, usual, lower, upper = numbers
    text = words(abs(found), abs(usual), lower, max(upper, abs(usual)), feature)
    assert all(float(number) >= 0 for number in re.findall(_NUMBER, text.replace("−", "-")))
