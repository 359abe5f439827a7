"""Neuron models as equations, and the compiler that makes kernels and derivatives of them."""
