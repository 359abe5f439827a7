"""``fitrec train``."""
