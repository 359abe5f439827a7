"""Configuration of a neuron model given by its equations."""

from pathlib import Path
from typing import Any

from pydantic import Field, model_validator

from fitrec.config.base import Section


class NeuronModelConfig(Section):
    """Neurons that follow equations of the library or of a file (docs/models.md); for gradient rules.

    The membrane and synaptic parameters of the other sections then do not count; values and weights are in the base units of the
    model (ms, mV, nS, pA, pF) or in those of its ports.
    """

    name: str | None = Field(None, description="Model of the library ('fitrec model show' lists them).")
    file: str | None = Field(
        None, description="Model file, relative to the configuration's; its text is taken over into 'text' when it is read."
    )
    text: str | None = Field(
        None, description="The model's YAML itself, in place of a name or a file; beside a file, what was read from it."
    )
    preset: str | None = Field(None, description="One of the model's presets.")
    parameters: dict[str, float | str] = Field({}, description="Values other than the model's, such as 'tau_m: 20 ms'.")
    port_exc: str | None = Field(
        None, description="Port of synapses from E neurons and feed-forward inputs; null: the port called exc, else the only one."
    )
    port_inh: str | None = Field(
        None,
        description="Port of synapses from I neurons; null: the port called inh, else the only one. A port of their own takes "
        "their weights as magnitudes.",
    )
    port_static: str | None = Field(
        None, description="Port of all static synapses; null: 'static' if there is one, else as above."
    )
    port_plastic: str | None = Field(
        None, description="Port of all plastic synapses; null: 'plastic' if there is one, else as above."
    )
    weight_unit: float = Field(
        1.0, gt=0, description="J of network.balanced is 2 g weight_unit / sqrt(k), in the unit of the ports."
    )
    drive: str | None = Field(
        None, description="Current that takes the constant drive and the stimulus; null: the model's first, if it has any."
    )
    drive_unit: float = Field(1.0, description="Drives of network.balanced and network.stimulus are multiples of it.")
    scattered: str | None = Field(
        None, description="State that trials begin with at random; null: the first one in the model's threshold."
    )
    scatter: float | None = Field(
        None, ge=0, description="Standard deviation of that state; null: its distance to the threshold."
    )

    @property
    def source(self) -> str:
        """What messages call the model."""
        return self.file or self.name or "network.model.text"

    @model_validator(mode="before")
    @classmethod
    def _read_file(cls, data: Any) -> Any:
        if not isinstance(data, dict):
            return data
        given = [key for key in ("name", "file", "text") if data.get(key) is not None]
        if len(given) != 1 and given != ["file", "text"]:
            raise ValueError(
                f"the neuron model is given by {' and '.join(given) if given else 'nothing'}; give one of name, file and text"
            )
        if given == ["file"]:
            path = Path(str(data["file"])).expanduser()
            try:
                return {**data, "text": path.read_text(encoding="utf-8")}
            except (OSError, UnicodeDecodeError) as error:
                raise ValueError(f"the model file {path} cannot be read: {error}") from None
        return data
