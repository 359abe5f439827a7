"""Reads configuration files: YAML, `extends`, and paths relative to the file that states them."""

from pathlib import Path
from typing import Any

import yaml

from fitrec.errors import ConfigError, MissingFileError


class _Loader(yaml.SafeLoader):
    """A safe loader that refuses a key given twice: plain YAML silently keeps the last one."""


def _mapping(loader: _Loader, node: yaml.MappingNode) -> dict[Any, Any]:
    seen: set[str] = set()
    for key_node, _ in node.value:
        if key_node.value in seen:
            raise yaml.MarkedYAMLError(problem=f"key '{key_node.value}' is given twice", problem_mark=key_node.start_mark)
        seen.add(key_node.value)
    return loader.construct_mapping(node, deep=True)


_Loader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _mapping)


def read_mapping(path: Path) -> dict[str, Any]:
    """Content of a configuration file, with the files it extends merged in and recording paths made absolute."""
    return _read(path, ())


def _read(path: Path, extended_by: tuple[Path, ...]) -> dict[str, Any]:
    resolved = path.resolve()
    if resolved in extended_by:
        raise ConfigError(f"{path}: 'extends' runs in a circle: {' -> '.join(p.name for p in (*extended_by, resolved))}.")
    raw = _parse(path)
    base_name = raw.pop("extends", None)
    _make_paths_absolute(raw, resolved.parent)
    if base_name is None:
        return raw
    if not isinstance(base_name, str):
        raise ConfigError(f"{path}: extends is {base_name!r}, but must be the name of one YAML file.")
    return merge(_read(resolved.parent / base_name, (*extended_by, resolved)), raw)


def _parse(path: Path) -> dict[str, Any]:
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise MissingFileError(f"The configuration file {path} does not exist; write one with 'fitrec init'.") from None
    except UnicodeDecodeError:
        raise ConfigError(f"{path} is not a text file; a configuration is YAML in UTF-8.") from None
    except OSError as error:
        raise ConfigError(f"The configuration file {path} cannot be read: {error.strerror}.") from None
    try:
        raw = yaml.load(text, Loader=_Loader)
    except yaml.YAMLError as error:
        raise ConfigError(f"{path}: {_where(error)}.") from None
    if not isinstance(raw, dict) or not all(isinstance(key, str) for key in raw):
        raise ConfigError(
            f"{path} holds {_kind(raw)}, but a configuration is a mapping of keys such as 'run:' and 'recordings:'."
        )
    return raw


def _where(error: yaml.YAMLError) -> str:
    """Line, column and problem of a YAML error, in one line."""
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark is not None:
        mark = error.problem_mark
        return f"line {mark.line + 1}, column {mark.column + 1}: {error.problem or 'not valid YAML'}"
    return " ".join(str(error).split())


def _kind(raw: Any) -> str:
    if raw is None:
        return "nothing"
    if isinstance(raw, dict):
        return "a mapping with keys that are not text"
    return "a list" if isinstance(raw, list) else f"the single value {str(raw)[:40]!r}"


def merge(base: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    """Merge mappings key by key; anything else, lists included, is replaced."""
    merged = dict(base)
    for key, value in over.items():
        below = merged.get(key)
        merged[key] = merge(below, value) if isinstance(below, dict) and isinstance(value, dict) else value
    return merged


def _make_paths_absolute(raw: dict[str, Any], folder: Path) -> None:
    """Anchor paths of recordings and models at the folder of their file; those of a data set stay relative to the data set."""
    recordings = raw.get("recordings")
    for recording in recordings if isinstance(recordings, list) else []:
        if not isinstance(recording, dict) or recording.get("dataset") is not None:
            continue
        path = recording.get("path")
        if isinstance(path, str):
            recording["path"] = str(folder / Path(path).expanduser())
        elif isinstance(path, dict):
            recording["path"] = {k: str(folder / Path(v).expanduser()) if isinstance(v, str) else v for k, v in path.items()}
        if isinstance(recording.get("truth"), str):
            recording["truth"] = str(folder / Path(recording["truth"]).expanduser())
    network = raw.get("network")
    model = network.get("model") if isinstance(network, dict) else None
    if isinstance(model, dict) and isinstance(model.get("file"), str):
        model["file"] = str(folder / Path(model["file"]).expanduser())
        model.setdefault("text", None)  # not that of the file this one extends
