"""Targets: from a recording to binned counts, PSTHs, frozen splits and drives."""
