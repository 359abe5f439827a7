"""The kernels in CUDA: the same algorithms as ``kernels.cpu``, bit for bit.

How a kernel gets here (docs/gpu.md says why it is done this way):

1. Write ``NAME.cu`` in this folder, with ``#include "common.cuh"`` and kernels ``extern "C" __global__ void kernel(...)``.
   Arithmetic follows the numba kernel operation by operation: ``fmaf`` where it has ``fma``, the same order of sums, and no
   ``exp``, ``log`` or ``pow`` (host and device round them differently: compute such factors on the host). Dynamic shared memory
   is declared with ``DYNAMIC_SHARED(type, name)``. Every thread of a block reaches every ``__syncthreads()``.
2. Write the code that launches it against `device.Device`: arrays come from ``device.xp`` and ``device.asarray``, arguments are
   such arrays, NumPy scalars of the exact C type (``np.int32(n)``), or structs made with `arguments.pack`.
3. Add the kernel's register budget to ``tests/cuda/test_compile.py`` (it compiles every file for sm_80 and sm_90 and refuses
   spills), and a test with the fixture ``device`` of ``tests/cuda/conftest.py``: the same test runs through the host shim
   (``tests/cuda/host``), and on a GPU where there is one (``pytest -m gpu``).

Kernels of neuron models are not among the files here: `neurons.print_cuda` prints a model's own functions, which stand on
``model.cuh``, in front of ``neurons/templates/*.cu``; `source.add_source` makes a module of that text.
"""
