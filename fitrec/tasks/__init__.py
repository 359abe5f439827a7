"""The published tasks of e-prop: their draws, their settings, and the loop that runs them."""
