"""Manifests of `data_manifests/`: origin, version, files with sizes and SHA-256, licence and citation of each data set."""

import difflib
from dataclasses import dataclass, field
from typing import Any

import yaml

from fitrec import resources
from fitrec.errors import MissingFileError


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """One data set.

    Attributes
    ----------
    name, title, version, licence, citation, notes : str
        What it is, and how it was prepared.
    origin : list of dict
        Public places: ``repository`` and ``path`` in it, ``doi`` or ``url``.
    files : list of dict
        ``path``, ``bytes`` and ``sha256`` of each file.
    folder : dict or None
        For sets of very many files, instead of `files`: the number of ``files``, their ``bytes``, and the ``sha256`` of the lines
        "<sha256>  <path>" sorted by path.

    """

    name: str
    title: str
    version: str
    origin: list[dict[str, str]]
    licence: str
    citation: str
    notes: str
    files: list[dict[str, Any]] = field(default_factory=list)
    folder: dict[str, Any] | None = None

    @property
    def obtain(self) -> str:
        """Where to get it, in words."""
        places = []
        for place in self.origin:
            where = place.get("repository") or place.get("url") or f"https://doi.org/{place.get('doi')}"
            places.append(where + (f" ({place['path']})" if "path" in place else ""))
        return " and ".join(places)


def names() -> list[str]:
    """Names of all data sets that have a manifest."""
    return sorted(path.stem for path in (resources.root() / "data_manifests").glob("*.yaml"))


def load_manifest(dataset: str) -> Manifest:
    """Read the manifest of a data set; MissingFileError if there is none."""
    known = names()
    if dataset not in known:
        close = difflib.get_close_matches(dataset, known, 1)
        hint = f"did you mean {close[0]}? " if close else ""
        raise MissingFileError(f"there is no data set '{dataset}'; {hint}known are {', '.join(known)}")
    text = (resources.root() / "data_manifests" / f"{dataset}.yaml").read_text(encoding="utf-8")
    return Manifest(**yaml.safe_load(text))
