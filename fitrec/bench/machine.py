"""What the machine can do, measured in the run whose figures are compared with it: per core and in processor time.

Other work on the machine disturbs processor time least; of memory and caches it still takes its share.
"""

import time

import numpy as np

from fitrec.simulate.threads import thread_map


def peak_flops(threads: int) -> float:
    """Operations per second and core of float32 matrix products on all threads at once."""
    size, repeats = 1024, 3
    a = np.ones((size, size), np.float32)

    def multiply(_: int) -> None:
        a @ a.T.copy()

    best = np.inf
    for _ in range(3):
        start = time.process_time()
        thread_map(multiply, range(repeats * threads), threads)
        best = min(best, time.process_time() - start)
    return 2.0 * size**3 * repeats * threads / best


def copy_bandwidth(threads: int) -> float:
    """Bytes per second and core, read and written, of copying arrays much larger than the caches on all threads at once."""
    source = np.ones(1 << 26, np.float32)
    target = np.zeros_like(source)
    parts = list(zip(np.array_split(target, threads), np.array_split(source, threads), strict=True))
    best = np.inf
    for _ in range(5):
        start = time.process_time()
        thread_map(lambda part: np.copyto(*part), parts, threads)
        best = min(best, time.process_time() - start)
    return 2.0 * source.nbytes / best
