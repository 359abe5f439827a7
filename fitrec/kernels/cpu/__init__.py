"""The kernels in numba. They release the GIL; threads work on whole trials or on blocks of neurons, so no result depends on them."""
