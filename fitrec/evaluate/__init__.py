"""Evaluation: metrics, ceilings and baselines as pure functions of arrays."""
