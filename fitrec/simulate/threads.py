"""Threads over independent pieces of work whose results do not depend on how many threads there are."""

import os
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


def available_threads() -> int:
    """Return the number of processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def thread_map(function: Callable[[Item], Result], items: Iterable[Item], threads: int | None) -> list[Result]:
    """Apply a function that releases the GIL to each item; results in the order of the items."""
    count = threads or available_threads()
    if count == 1:
        return [function(item) for item in items]
    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(function, items))


def together(function: Callable[[int], object], count: int) -> None:
    """Call ``function(0)`` to ``function(count - 1)`` on a thread of their own each, so that they may wait for one another."""
    if count == 1:
        function(0)
        return
    with _one_team_at_a_time:
        waiting = [_team(count).submit(function, part) for part in range(1, count)]
        function(0)
        for call in waiting:
            call.result()


_one_team_at_a_time = threading.Lock()


@cache
def _team(count: int) -> ThreadPoolExecutor:
    """Threads that stay: a training loop calls them together hundreds of times."""
    return ThreadPoolExecutor(count - 1)
