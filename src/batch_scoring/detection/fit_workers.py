"""Fit on all cores: in threads for little work, in processes where their start pays off.

Fits of a few hundred windows are half Python, so several threads are hardly faster than one; a
process takes 1.5 s to import scikit-learn. The fitted models are the same, to the bit.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from queue import SimpleQueue
from types import TracebackType
from typing import NoReturn, Self

import pyarrow as pa

from batch_scoring.core.prefetch import computed, prefetched
from batch_scoring.core.processes import usable_cores
from batch_scoring.detection.detectors.base import FitParameters, Series
from batch_scoring.detection.fit import Fitted, fit_windows
from batch_scoring.detection.fit_process import FitProcess
from batch_scoring.detection.fit_work import cut_work
from batch_scoring.windows.features import feature_matrix

logger = logging.getLogger(__name__)

# Work left to threads: on two cores processes, including their start, take as long.
WORTH_PROCESSES_SECONDS = 4.0


class FitWorkers:
    """Fits devices on all cores; ends its processes when the ``with`` block is left.

    Parameters
    ----------
    n : int, optional
        Devices fitted at a time. Default: the cores this process may use.
    worth_processes : float
        Seconds of estimated work, over all calls of :meth:`fit`, above which processes are used.
    """

    def __init__(self, n: int | None = None, worth_processes: float = WORTH_PROCESSES_SECONDS) -> None:
        self._n = n or usable_cores()
        self._worth_processes = worth_processes
        self._estimated = 0.0
        self._processes: list[FitProcess] = []
        self._idle: SimpleQueue[FitProcess] = SimpleQueue()
        self._one_thread = ExitStack()
        self._is_one_thread = False

    def fit(
        self,
        ranges: Iterable[Sequence[pa.Table]],
        features: Sequence[str],
        parameters: FitParameters,
        n_windows: int = 0,
    ) -> Iterator[Fitted]:
        """Fit one model a device, as :func:`fit_windows` does.

        Parameters
        ----------
        ranges : iterable of sequences of pyarrow.Table
            Windows of one sensor, one range of devices at a time: tables sorted by device, such as
            one a day. Read ahead in a thread.
        features : sequence of str
        parameters : FitParameters
        n_windows : int
            Approximate total number of windows, where known.

        Yields
        ------
        Fitted
            Models and status of some devices, in order over all results. Independent of the number
            of workers, except for the bounds of the parts.

        Raises
        ------
        InputError
            When the windows lack one of the features or are not sorted by device.
        """

        def pieces() -> Iterator[pa.Table]:
            left = n_windows
            for parts in prefetched(ranges):
                feature_matrix(parts[0].slice(0, 0), features)
                work = list(cut_work(parts, parameters))
                seconds = sum(cost for _, cost in work)
                n_rows = sum(part.num_rows for part in parts)
                self._expect(seconds, seconds * max(left / n_rows, 1.0) if n_rows else 0.0)
                left -= n_rows
                yield from (piece for piece, _ in work)

        def fit_piece(piece: pa.Table) -> Fitted:
            if not self._processes:
                return fit_windows(piece, features, parameters)
            return self._fit_in_process(piece, features, parameters)

        yield from computed(fit_piece, pieces(), self._n)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._one_thread.close()
        for process in self._processes:
            process.end()
        self._processes.clear()

    def _expect(self, seconds: float, seconds_to_come: float) -> None:
        """Prepare for work of this duration, as part of ``seconds_to_come``."""
        is_much = self._estimated + seconds_to_come > self._worth_processes
        self._estimated += seconds
        if self._n > 1 and is_much and not self._processes:
            self._processes = [FitProcess() for _ in range(self._n)]
            for process in self._processes:
                self._idle.put(process)
        if not self._processes and not self._is_one_thread:
            self._stay_on_one_thread()

    def _stay_on_one_thread(self) -> None:
        """Limit fits in this process to one core, as in the others, so that sums give the same bits."""
        from sklearn import svm  # noqa: F401  # loads the libraries whose threads are limited
        from threadpoolctl import threadpool_limits

        self._one_thread.enter_context(threadpool_limits(1))
        self._is_one_thread = True

    def _fit_in_process(self, piece: pa.Table, features: Sequence[str], parameters: FitParameters) -> Fitted:
        process = self._idle.get()
        try:
            return process.fit(piece, features, parameters)
        except ChildProcessError as first:
            logger.warning("train: %s; retrying its devices once", first)
            process = self._replace(process)
            try:
                return process.fit(piece, features, parameters)
            except ChildProcessError as second:
                died = second
                process = self._replace(process)
        finally:
            self._idle.put(process)

        def fail(series: Series, parameters: FitParameters) -> NoReturn:
            raise died

        return fit_windows(piece, features, parameters, fit=fail)

    def _replace(self, dead: FitProcess) -> FitProcess:
        dead.end()
        process = FitProcess()
        self._processes[self._processes.index(dead)] = process
        return process
