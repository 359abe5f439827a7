"""One option per key of a configuration section, laid over what the configuration says."""

from collections.abc import Callable
from functools import wraps
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, TypeVar, Union, get_args, get_origin

import click
import yaml

from fitrec.cli import options
from fitrec.cli.options import Command
from fitrec.config.base import Section
from fitrec.config.files import merge
from fitrec.config.fits import Fit, list_fits
from fitrec.config.load import load, nested_model, validate
from fitrec.config.run import RunConfig
from fitrec.errors import ConfigError

Model = TypeVar("Model", bound=Section)
_PREFIX = "key__"


class _Yaml(click.ParamType):  # type: ignore[type-arg,unused-ignore] # generic from click 8.4 on
    """A value written as YAML, for keys that hold mappings or lists of mappings."""

    name = "yaml"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        try:
            return yaml.safe_load(value)
        except yaml.YAMLError as error:
            self.fail(f"{value!r} is not valid YAML: {' '.join(str(error).split())}", param, ctx)


def section(model: type[Section]) -> Callable[[Command], Command]:
    """Give a command one option per key of `model`; they arrive as keyword arguments for `read_section`."""

    def decorate(command: Command) -> Command:
        for option in reversed(list(_key_options(model, ()))):
            command = option(command)
        return command

    return decorate


def of_run(model: type[Section], name: str) -> Callable[[Command], Command]:
    """Give a command --config and one option per key of `model`; it gets `run` (None without --config) and `section`.

    `name` is what the section is called in the configuration.
    """

    def decorate(command: Command) -> Command:
        @wraps(command)
        def packed(*, config: Path | None, **given: Any) -> Any:
            run = load_config(config)
            keys, rest = _split(given)
            return command(run=run, section=read_section(model, getattr(run, name, None), keys), **rest)

        return options.config(section(model)(packed))  # type: ignore[return-value]

    return decorate


def of_fit(model: type[Section], name: str) -> Callable[[Command], Command]:
    """Give a command --config, --fit and one option per key of `model`; it gets `fit` (None without --config) and `section`."""

    def decorate(command: Command) -> Command:
        @wraps(command)
        def packed(*, config: Path | None, fit_name: str | None, **given: Any) -> Any:
            chosen = choose_fit(load_config(config), fit_name)
            keys, rest = _split(given)
            base = getattr(chosen.config, name) if chosen else None
            return command(fit=chosen, section=read_section(model, base, keys), **rest)

        return options.config(options.fit(section(model)(packed)))  # type: ignore[return-value]

    return decorate


def read_section(model: type[Model], base: Model | None, given: dict[str, Any]) -> Model:
    """Return the section of the configuration (or the defaults) with the options that were given laid over it."""
    changes: dict[str, Any] = {}
    for name, value in given.items():
        if value is None or value == ():
            continue
        *parents, key = name.removeprefix(_PREFIX).split("__")
        here = changes
        for parent in parents:
            here = here.setdefault(parent, {})
        here[key] = list(value) if isinstance(value, tuple) else value
    raw = base.model_dump(exclude_unset=True) if base is not None else {}
    return validate(model, merge(raw, changes), "options")


def load_config(path: Path | None) -> RunConfig | None:
    """Load the configuration, if one was named."""
    return None if path is None else load(path)


def choose_fit(run: RunConfig | None, name: str | None) -> Fit | None:
    """Return the fit of that name; the name may be left out when there is only one."""
    if run is None:
        if name is not None:
            raise ConfigError("--fit chooses among the fits of a configuration: give --config as well.")
        return None
    fits = {fit.name: fit for fit in list_fits(run)}
    if name is None and len(fits) > 1:
        raise ConfigError(f"The configuration holds {len(fits)} fits; choose one with --fit: {', '.join(fits)}.")
    if name is not None and name not in fits:
        raise ConfigError(f"The configuration holds no fit '{name}'; it holds {', '.join(fits)}.")
    return fits[name or next(iter(fits))]


def _split(given: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Keys of the section, and the other arguments."""
    keys = {name: value for name, value in given.items() if name.startswith(_PREFIX)}
    return keys, {name: value for name, value in given.items() if name not in keys}


def _key_options(model: type[Section], above: tuple[str, ...]) -> list[Callable[[Command], Command]]:
    found: list[Callable[[Any], Any]] = []
    for name, field in model.model_fields.items():
        path = (*above, name)
        below = nested_model(field.annotation)
        if below is not None and get_origin(_bare(field.annotation)) is not list:
            found += _key_options(below, path)
            continue
        flag = "--" + "-".join(path).replace("_", "-")
        settings = _settings(_bare(field.annotation))
        if settings.pop("switch", False):
            flag += f"/--no-{flag.removeprefix('--')}"
        default = "" if field.is_required() or field.default is None else f"  [default: {_shown(field.default)}]"
        found.append(
            click.option(flag, _PREFIX + "__".join(path), default=None, help=f"{field.description}{default}", **settings)
        )
    return found


def _bare(annotation: Any) -> Any:
    """Strip ``| None``."""
    if get_origin(annotation) in (Union, UnionType):
        members = [member for member in get_args(annotation) if member is not NoneType]
        return members[0] if len(members) == 1 else annotation
    return annotation


def _settings(annotation: Any) -> dict[str, Any]:
    """Click's settings for a value of that type."""
    origin, members = get_origin(annotation), get_args(annotation)
    if annotation is bool:
        return {"switch": True}
    if annotation in (int, float, str):
        return {"type": annotation}
    if origin is Literal:
        return {"type": click.Choice(members)}
    if origin is tuple:
        return {"type": members[0], "nargs": len(members)}
    if origin is list and nested_model(annotation) is None:
        return {**_settings(members[0]), "multiple": True}
    return {"type": _Yaml()}


def _shown(default: Any) -> str:
    if isinstance(default, list | tuple):
        return " ".join(str(value) for value in default) or "none"
    if isinstance(default, bool):
        return "yes" if default else "no"
    return "none" if default == {} else str(default)
