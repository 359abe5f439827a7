"""The kernels in numba.

They release the GIL; threads work on whole trials or on blocks of neurons, so no result depends on them.
"""

import llvmlite.binding as llvm
from numba.core import config

from fitrec.kernels.cpu.sources import forget_stale_code

# LLVM prefers 256-bit vectors on processors that slowed down under AVX-512 years ago; with 512 bits the time loop is twice as
# fast on today's. The choice changes no result. numba reads it when it compiles its first function.
if not config.CPU_FEATURES:
    config.CPU_NAME = llvm.get_host_cpu_name()
    config.CPU_FEATURES = llvm.get_host_cpu_features().flatten() + ",-prefer-256-bit"

forget_stale_code()  # before numba looks for any
