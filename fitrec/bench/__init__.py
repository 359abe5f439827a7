"""Benchmarks with the anchors' settings: one module each, whose `run` returns the figures of one JSON file."""
