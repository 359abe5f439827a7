"""Checks of a configuration against the actual data, without running anything."""
