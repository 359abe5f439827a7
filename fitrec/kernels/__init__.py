"""The numerical kernels: `reference` (NumPy, float64, readable) and `cpu` (numba), which the tests hold against each other."""
