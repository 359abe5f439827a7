"""The numerical kernels: `reference` (NumPy, float64, readable) and `cpu` (numba), with the same names and the same arguments."""
