"""The published e-prop rules: one update per interval (original) or in every step (e-prop+)."""
