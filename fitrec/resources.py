"""Finds the files beside the code: Snakefile, workflows, example configurations and data manifests."""

from pathlib import Path


def root() -> Path:
    """Folder that holds Snakefile, workflows/, config/ and data_manifests/: the bundle of a wheel, or the checkout."""
    package = Path(__file__).parent
    bundle = package / "_bundle"
    return bundle if bundle.is_dir() else package.parent
