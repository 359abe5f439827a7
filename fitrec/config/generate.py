"""Generates what is derived from the models: the commented default configuration, the JSON schema and the table of keys.

Run by ``make schemas``; a test fails when the checked-in files differ.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from fitrec.config.base import Section
from fitrec.config.load import nested_model
from fitrec.config.run import RunConfig
from fitrec.resources import root

# Stands for the keys without a default.
EXAMPLE = {"run": "example", "recordings": [{"name": "mouse1", "path": "mouse1.nwb"}]}
EXTENDS = "YAML file whose keys are taken over; relative to this file, the keys here win."


def default_yaml() -> str:
    """Every key with its default and its description."""
    head = [
        "# Every key with its default. Generated from the models by 'make schemas'; do not edit.",
        "# Copy the keys you change: a configuration holds only those ('fitrec init' writes a short one).",
        "",
    ]
    return "\n".join([*head, *_section_lines(RunConfig, EXAMPLE, 0)]) + "\n"


def _section_lines(model: type[Section], given: dict[str, Any], depth: int) -> Iterator[str]:
    indent = "  " * depth
    for name, field in model.model_fields.items():
        value = given.get(name, field.default)
        below = nested_model(field.annotation)
        if depth == 0 and isinstance(value, Section):
            yield ""
        if below is not None:
            yield f"{indent}# {_comment(field) or _first_line(below)}"
        else:
            yield f"{indent}# {_comment(field)}"
        if isinstance(value, Section):
            yield f"{indent}{name}:"
            yield from _section_lines(type(value), {}, depth + 1)
        else:
            yield f"{indent}{name}: {_inline(value)}"
            if below is not None and value is None:  # an optional section, or a list of sections: show what it could hold
                yield from (f"{indent}#   {line}" for line in _section_lines(below, {}, 0))


def _comment(field: FieldInfo) -> str:
    return field.description or ""


def _first_line(model: type[Section]) -> str:
    return (model.__doc__ or "").strip().splitlines()[0]


def _inline(value: Any) -> str:
    if value is PydanticUndefined:
        return "(required)"
    if isinstance(value, tuple):
        value = list(value)
    return yaml.safe_dump(value, default_flow_style=True, width=10_000).removesuffix("\n").removesuffix("\n...")


def json_schema() -> str:
    """JSON schema of a configuration file, for editors."""
    schema = RunConfig.model_json_schema()
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    schema["properties"] = {"extends": {"type": "string", "description": EXTENDS}, **schema["properties"]}
    return json.dumps(schema, indent=2) + "\n"


def reference_markdown() -> str:
    """Table of every key for the user guide."""
    lines = [
        "# Configuration keys",
        "",
        "Generated from the models by `make schemas`; do not edit. How a configuration is written: [config.md](config.md).",
        "",
    ]
    for heading, model in _sections("", RunConfig):
        lines += [f"## {heading or 'Top level'}", "", _first_line(model), "", "| key | default | meaning |", "|---|---|---|"]
        lines += [f"| `{name}` | {_default(field)} | {_cell(field)} |" for name, field in model.model_fields.items()]
        lines.append("")
    return "\n".join(lines)


def _sections(path: str, model: type[Section]) -> Iterator[tuple[str, type[Section]]]:
    yield path, model
    for name, field in model.model_fields.items():
        below = nested_model(field.annotation)
        if below is not None:
            yield from _sections(f"{path}.{name}" if path else name, below)


def _default(field: FieldInfo) -> str:
    return "section" if isinstance(field.default, Section) else f"`{_inline(field.default)}`"


def _cell(field: FieldInfo) -> str:
    below = nested_model(field.annotation)
    text = _comment(field) or (_first_line(below) if below else "")
    return text.replace("|", "\\|")


def outputs() -> dict[Path, str]:
    """List the generated files, relative to the checkout."""
    return {
        Path("config/default.yaml"): default_yaml(),
        Path("workflows/schemas/config.schema.json"): json_schema(),
        Path("docs/config-keys.md"): reference_markdown(),
    }


if __name__ == "__main__":
    for path, text in outputs().items():
        target = root() / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8")
