"""Imports run one way: a package knows those below it, not those above."""

import ast
from pathlib import Path

import fitrec

ROOT = Path(fitrec.__file__).parent
LAYERS = (
    {"errors", "fields", "atomic", "leftovers", "resources", "threads"},
    {"kernels"},
    {"neurons"},
    {"networks"},
    {"simulate"},
    {"recordings", "targets", "learn", "evaluate", "datasets", "report"},
    {"tasks", "bench", "config", "store"},
    {"stages", "checks"},
    {"cli"},
)
HEIGHT = {package: height for height, layer in enumerate(LAYERS) for package in layer}
KNOW_THE_CONFIG = {"config", "stages", "checks", "cli"}
KNOW_THE_STORE = {"store", "stages"}


def imports() -> set[tuple[str, str]]:
    """Pairs of a package and another that one of its files imports."""
    found = set()
    for path in ROOT.rglob("*.py"):
        parts = path.relative_to(ROOT).with_suffix("").parts
        for node in ast.walk(ast.parse(path.read_text())):
            names = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            names += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            found |= {(parts[0], name.split(".")[1]) for name in names if name.startswith("fitrec.")}
    return {(one, other) for one, other in found if one != other and one not in ("__main__", "__init__")}


def test_packages_know_only_what_is_below() -> None:
    pairs = imports()
    assert {package for pair in pairs for package in pair} <= HEIGHT.keys()
    assert len(pairs) > 60
    assert not [pair for pair in pairs if HEIGHT[pair[0]] < HEIGHT[pair[1]]]


def test_few_know_the_configuration_and_the_store() -> None:
    assert {one for one, other in imports() if other == "config"} <= KNOW_THE_CONFIG
    assert {one for one, other in imports() if other == "store"} <= KNOW_THE_STORE
