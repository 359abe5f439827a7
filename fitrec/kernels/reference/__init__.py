"""The kernels in NumPy, float64: short, slow, and what the fast ones are compared with."""
