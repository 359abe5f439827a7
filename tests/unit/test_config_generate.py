"""The generated files are up to date, and the default configuration means the defaults."""

import json

import yaml

from fitrec.config import generate
from fitrec.config.run import RunConfig
from fitrec.resources import root


def test_checked_in_files_have_not_drifted() -> None:
    for path, text in generate.outputs().items():
        checked_in = (root() / path).read_text()
        if path.suffix == ".json":
            assert json.loads(checked_in) == json.loads(text), f"{path} is out of date: run 'make schemas'"
        else:
            assert checked_in == text, f"{path} is out of date: run 'make schemas'"


def test_default_yaml_means_the_defaults() -> None:
    loaded = RunConfig.model_validate(yaml.safe_load(generate.default_yaml()))
    assert loaded == RunConfig.model_validate(generate.EXAMPLE)


def test_every_key_is_described() -> None:
    def undescribed(schema: dict[str, object]) -> list[str]:
        found = []
        for owner, model in {"": schema, **schema["$defs"]}.items():  # type: ignore[dict-item]
            for key, value in model["properties"].items():
                if not ("description" in value or "$ref" in value or "$ref" in str(value.get("anyOf", ""))):
                    found.append(f"{owner}.{key}")
        return found

    assert undescribed(json.loads(generate.json_schema())) == []
