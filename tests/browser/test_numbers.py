"""Numbers and expected ranges as the scripts of both pages write them."""

from __future__ import annotations

import re

import numpy as np
import pytest

from batch_scoring.server.pages.rendering import text_of

pytestmark = [pytest.mark.browser, pytest.mark.slow]

CALL = """([script, calls]) => {
  const data = { getElementById: () => ({ textContent: "{}" }) };
  const { number, rangeWords } = new Function("document", `${script}; return { number, rangeWords };`)(data);
  return calls.map((values) => (values.length === 1 ? number(...values) : rangeWords(...values)));
}"""


@pytest.fixture(scope="module")
def written(browser):
    page = browser.new_page()
    yield lambda calls: page.evaluate(CALL, [text_of("format.js", "batch_scoring.reporting"), calls])
    page.close()


def test_numbers_have_four_digits_or_one_behind_the_point(written):
    numbers = {
        3.14159: "3.142", 20.0: "20", 999.96: "1000", 1013.4: "1013.4", 12345.67: "12345.7",
        123456.0: "123456", -4.25: "−4.25", 1.234e-5: "1.234e−5", 3290009.0: "3.29e+6", 0.0: "0",
        float(np.float32(1013.4)): "1013.4",
    }  # fmt: skip
    assert written([[number] for number in numbers]) == list(numbers.values())


def test_a_range_has_the_digits_that_tell_its_value_from_it(written):
    ranges = {
        (70.96, 98.9978, 99.9622): "70.96, expected 98.99 to 99.97",
        (1013.2, 1013.01, 1013.386): "1013.2, expected 1013.01 to 1013.39",
        (20.43, 19.2, 20.42): "20.43, expected 19.2 to 20.42",
        (6.2474e-6, 2.7e-6, 3.293e-6): "6.247e−6, expected 2.7e−6 to 3.3e−6",
        (3290008.0, 2457135.0, 2543242.0): "3.29e+6, expected 2.457e+6 to 2.544e+6",
        (7.0, 0.0, 0.0): "7, expected 0",
        (21.5, 21 - 7e-8, 21 + 7e-8): "21.5, expected 21",
        (0.5, 0.2, 0.774): "0.5, expected 0.2 to 0.78",
    }
    assert written([list(numbers) for numbers in ranges]) == list(ranges.values())
    assert written([[8.5, None, 9.0]]) == ["8.5"]


def test_a_range_is_not_narrowed_and_a_value_stays_on_its_side(written):
    rng = np.random.default_rng(3)
    middle = rng.normal(size=500) * 10.0 ** rng.integers(-3, 5, 500)
    reach = np.abs(middle) * 10.0 ** rng.uniform(-3, 1, 500)
    value = middle + reach * rng.uniform(-4, 4, 500)
    calls = np.column_stack([value, middle - reach, middle + reach])
    # Seven digits are what a packed number has.
    close = 1e-6 * np.abs(calls).max(axis=1)
    for (x, lower, upper), slack, text in zip(calls.tolist(), close, written(calls.tolist()), strict=True):
        found = re.findall(r"-?[0-9.]+(?:e[+-]?[0-9]+)?", text.replace("−", "-"))
        shown, least, most = map(float, found)
        assert least <= lower + slack
        assert upper - slack <= most
        if max(lower - x, x - upper) > 1e-3 * abs(x):
            assert shown < least if x < lower else shown > most
