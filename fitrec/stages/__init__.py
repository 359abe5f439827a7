"""The stages: functions from files to files.

The versions are part of what Snakemake watches: raise one when its stage gives another result for the same input, and runs made
before are redone from that stage on.
"""

VERSIONS = {"ingest": 1, "targets": 4, "build": 2, "train": 14, "evaluate": 3, "report": 2, "compare": 1}
