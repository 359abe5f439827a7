"""Turns a YAML file into a `RunConfig`, and every mistake in it into one sentence."""

from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from pathlib import Path
from types import UnionType
from typing import Any, TypeVar, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from fitrec.config.base import Section
from fitrec.config.files import read_mapping
from fitrec.config.run import RunConfig
from fitrec.errors import ConfigError

Model = TypeVar("Model", bound=Section)
Location = tuple[int | str, ...]


def load(path: Path) -> RunConfig:
    """Read, merge (`extends`) and validate a configuration file; recording paths come back absolute."""
    return validate(RunConfig, read_mapping(path), str(path))


def validate(model: type[Model], raw: dict[str, Any], source: str) -> Model:
    """Build `model` from `raw`, or raise one sentence that names `source`, the key, the value found and the value wanted."""
    try:
        return model.model_validate(raw)
    except ValidationError as error:
        raise ConfigError(f"{source}: {_sentence(model, raw, error.errors(include_url=False))}.") from None


def nested_model(annotation: Any) -> type[Section] | None:
    """Return the Section an annotation holds, directly, as `Section | None` or as `list[Section]`; None when it holds none."""
    if isinstance(annotation, type) and issubclass(annotation, Section):
        return annotation
    if get_origin(annotation) in (Union, UnionType, list):
        return next((found for found in map(nested_model, get_args(annotation)) if found), None)
    return None


def _sentence(model: type[BaseModel], raw: dict[str, Any], errors: Sequence[ErrorDetails]) -> str:
    """Describe the first mistake, unknown keys before all others, and say how many more there are."""
    by_key: dict[Location, list[ErrorDetails]] = {}
    for error in errors:
        by_key.setdefault(_navigable(raw, error), []).append(error)
    ordered = sorted(by_key.items(), key=lambda item: item[1][0]["type"] != "extra_forbidden")
    location, first = ordered[0]
    if first[0]["type"] == "extra_forbidden":
        text = _unknown(model, location)
    elif first[0]["type"] == "missing":
        text = f"the key '{dotted(location)}' is missing"
    elif first[0]["type"] == "value_error":  # raised by a validator of ours: already a sentence
        where = f"{dotted(location)}: " if location else ""
        text = where + str(first[0]["ctx"]["error"])
    else:
        wanted = " or ".join(dict.fromkeys(_wanted(error) for error in first))
        text = f"{dotted(location)} is {_shown(first[0]['input'])}, but must be {wanted}"
    more = len(ordered) - 1
    return text + (f" (and {more} more {'mistake' if more == 1 else 'mistakes'})" if more else "")


def dotted(location: Iterable[int | str]) -> str:
    """Return a location as a user writes it: ``recordings[0].path``."""
    text = ""
    for part in location:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


def _navigable(raw: Any, error: ErrorDetails) -> Location:
    """Location without the names of union members, which pydantic puts between the keys."""
    here: Any = raw
    path: list[int | str] = []
    for part in error["loc"]:
        try:
            here = here[part]
        except (KeyError, IndexError, TypeError):
            if error["type"] != "missing" or part != error["loc"][-1]:
                continue
        path.append(part)
    return tuple(path)


def _unknown(model: type[BaseModel], location: Location) -> str:
    """Name the unknown key, and the one that was probably meant: a similar one here, or the same one elsewhere."""
    *parents, key = location
    owner: type[BaseModel] = model
    for part in parents:
        if isinstance(part, str):
            owner = nested_model(owner.model_fields[part].annotation) or owner
    text = f"unknown key '{dotted(location)}'"
    near = get_close_matches(str(key), owner.model_fields, n=1, cutoff=0.6)
    if near:
        return f"{text}; did you mean '{dotted([*parents, near[0]])}'"
    elsewhere = [path for path in _all_keys(model, ()) if path[-1] == key]
    if elsewhere:
        return f"{text}; it belongs at '{dotted(elsewhere[0])}'"
    return f"{text}; the keys there are {', '.join(owner.model_fields)}"


def _all_keys(model: type[BaseModel], above: tuple[str, ...]) -> Iterable[tuple[str, ...]]:
    for name, field in model.model_fields.items():
        yield (*above, name)
        below = nested_model(field.annotation)
        if below is not None:
            yield from _all_keys(below, (*above, name))


_TYPES = {
    "string": "text",
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "list": "a list",
    "tuple": "a list",
    "dict": "a mapping of keys",
    "model": "a mapping of keys",
}


def _wanted(error: ErrorDetails) -> str:
    """Say what the value should have been."""
    kind, limits = error["type"], error.get("ctx", {})
    match kind:
        case "literal_error" | "enum":
            return f"one of {limits['expected']}" + _similar(error)
        case "greater_than":
            return f"greater than {limits['gt']:g}"
        case "greater_than_equal":
            return f"at least {limits['ge']:g}"
        case "less_than":
            return f"less than {limits['lt']:g}"
        case "less_than_equal":
            return f"at most {limits['le']:g}"
        case "finite_number":
            return "a finite number"
        case "string_pattern_mismatch":
            return "a name of letters, digits, '.', '_' and '-' that begins with a letter or digit"
        case "too_short":
            return f"a list of at least {limits['min_length']}"
        case "too_long":
            return f"a list of at most {limits['max_length']}"
        case "string_too_short":
            return "text that is not empty"
        case "int_from_float":
            return "a whole number"
    base = kind.removesuffix("_type").removesuffix("_parsing").removesuffix("_attributes")
    return _TYPES.get(base, error["msg"][0].lower() + error["msg"][1:])


def _similar(error: ErrorDetails) -> str:
    expected = str(error.get("ctx", {}).get("expected", ""))
    names = [word for word in expected.replace(" or ", ",").replace("'", "").replace(" ", "").split(",") if word]
    near = get_close_matches(str(error["input"]), names, n=1, cutoff=0.6)
    return f"; did you mean '{near[0]}'" if near else ""


def _shown(value: Any) -> str:
    if value is None:
        return "empty"
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
