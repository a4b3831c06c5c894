"""The ids of rows that are read some at a time: their numbers, and their order.

Most fleets send in turn: device after device, then from the first one on. There the next ids are known, and
to compare texts takes a fiftieth of the time that it takes to look each up.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from batch_scoring.ingestion.plain_columns import name_ranks
from batch_scoring.tables.arrays import Int
from batch_scoring.tables.arrow_arrays import strings, to_arrow, to_numpy

# Texts that are compared at once.
_BLOCK = 16_384
# Ids that may be missing in a round, to be found without a search through all.
_NEAR = 1_000
# A search costs as much as looking up some hundred ids, so searches are few: ids in no order are looked up.
_SEARCHES, _ROWS_A_SEARCH = 4, 500


class Ids:
    """The ids of all rows, numbered as they come.

    Attributes
    ----------
    names : pyarrow.Array
        The ids in the order of their numbers.
    """

    def __init__(self) -> None:
        self.names = strings([])
        self._ranks: Int | None = None

    def look_up(self, ids: pa.ChunkedArray) -> tuple[Int, Int] | None:
        """Return the number of each id, and a rank that orders these ids as UTF-8 bytes; of shape (n,).

        Parameters
        ----------
        ids : pyarrow.ChunkedArray
            Texts, or dictionaries of them, in one chunk.

        Returns
        -------
        (array, array) or None
            None where an id may be refused.
        """
        if ids.null_count or ids.num_chunks != 1:
            return None
        texts = ids.chunk(0)
        is_encoded = pa.types.is_dictionary(texts.type)
        numbers = self._in_turn(texts.dictionary if is_encoded else texts)
        if numbers is None and not is_encoded:
            texts, is_encoded = texts.dictionary_encode(), True
        n_known = len(self.names)
        if numbers is None:
            numbers = self._number(texts.dictionary)
        if len(self.names) == n_known:
            ranks = self._known_ranks()[numbers]
        elif (of_new := name_ranks(texts.dictionary)) is not None:
            ranks = of_new
        else:
            return None
        if is_encoded:
            places = to_numpy(texts.indices)
            return numbers[places], ranks[places]
        return numbers, ranks

    def _in_turn(self, texts: pa.Array) -> Int | None:
        """Return the numbers of texts that follow one another as the known ones do; else None."""
        if len(self.names) * _ROWS_A_SEARCH < len(texts):
            return None
        numbers = np.empty(len(texts), np.int64)
        done = place = searches = 0
        while done < len(texts):
            place %= len(self.names)
            mine = texts.slice(done, min(_BLOCK, len(self.names) - place))
            theirs = self.names.slice(place, len(mine))
            n = len(mine) if mine.equals(theirs) else int(np.argmin(to_numpy(pc.equal(mine, theirs), False)))
            numbers[done : done + n] = np.arange(place, place + n)
            done, place = done + n, place + n
            if n < len(mine):
                searches += 1
                place = self._find(texts[done], place)
                if place < 0 or searches > _SEARCHES + done // _ROWS_A_SEARCH:
                    return None
        return numbers

    def _find(self, text: pa.Scalar, after: int) -> int:
        """Return the number of an id, which may be one of the next; -1 where it is not known."""
        near: int = pc.index(self.names.slice(after, _NEAR), text).as_py()
        if near >= 0:
            return after + near
        found: int = pc.index(self.names, text).as_py()
        return found

    def _number(self, names: pa.Array) -> Int:
        """Return the number of each name; new ones get the next ones."""
        found = to_numpy(pc.index_in(names, value_set=self.names), null=-1).astype(np.int64)
        is_new = found < 0
        if is_new.any():
            found[is_new] = len(self.names) + np.arange(np.count_nonzero(is_new))
            self.names = pa.concat_arrays([self.names, names.filter(to_arrow(is_new))])
            self._ranks = None
        return found

    def _known_ranks(self) -> Int:
        if self._ranks is None:
            self._ranks = Ranks(self).of_number
        return self._ranks


class Ranks:
    """The names of ids in order (UTF-8 bytes), and the rank of each number."""

    def __init__(self, ids: Ids) -> None:
        order = pc.array_sort_indices(ids.names)
        self.names = ids.names.take(order)
        self.of_number = np.empty(len(self.names), np.int64)
        self.of_number[to_numpy(order.cast(pa.int64()))] = np.arange(len(self.names))
