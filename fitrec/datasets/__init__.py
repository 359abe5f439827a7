"""Public data sets: what they are, where they lie, whether they are whole."""

from fitrec.datasets.manifest import Manifest, load_manifest, names
from fitrec.datasets.mirror import locate, missing, verify

__all__ = ["Manifest", "load_manifest", "locate", "missing", "names", "verify"]
