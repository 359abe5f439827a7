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
    if getattr(_this_thread, "works", False):  # a function that runs here calls for threads itself: these may all be busy
        with ThreadPoolExecutor(count) as pool:
            return list(pool.map(function, items))
    return list(_workers(count).map(function, items))


def together(function: Callable[[int], object], count: int) -> None:
    """Call ``function(0)`` to ``function(count - 1)`` on a thread of its own each, so that they may wait for one another."""
    if count == 1:
        function(0)
        return
    with _one_team_at_a_time:
        waiting = [_team(count).submit(function, part) for part in range(1, count)]
        function(0)
        for call in waiting:
            call.result()


# Threads stay: a training loop asks for them hundreds of times.
_this_thread = threading.local()
_one_team_at_a_time = threading.Lock()


@cache
def _workers(count: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(count, initializer=lambda: setattr(_this_thread, "works", True))


@cache
def _team(count: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(count - 1)


def _forget() -> None:
    """Threads do not survive a fork."""
    global _one_team_at_a_time
    _workers.cache_clear()
    _team.cache_clear()
    _one_team_at_a_time = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
