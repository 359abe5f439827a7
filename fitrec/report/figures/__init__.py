"""Figures: each a pure function from arrays to an inline SVG string; none knows about files or the page."""
