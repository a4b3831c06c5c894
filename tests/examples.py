"""How often a property is tried."""

from hypothesis import settings

# Of tests whose every example writes tables, in tenths of a second: 10 in CI, 80 in `make test-long`.
few_examples = settings(max_examples=settings().max_examples * 2 // 5)
