"""Recordings: what was measured, as the source gives it. One reader per format, all returning a `Recording`."""
