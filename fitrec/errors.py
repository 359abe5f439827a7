"""Errors that a user can act on.

Every one of them is one sentence: what is wrong, where, the value found, the value wanted, what to do. The command line prints it
without a traceback and exits with status 2; anything else is our mistake and exits with status 1.
"""


class FitrecError(Exception):
    """Base of all errors caused by the input, the configuration or the machine rather than by fitrec itself."""


class ConfigError(FitrecError, ValueError):
    """A configuration that cannot be used."""


class RecordingError(FitrecError, ValueError):
    """A recording that cannot be read or breaks a rule (unsorted times, missing column, no units, ...)."""


class TargetsError(FitrecError, ValueError):
    """Targets that cannot be built from the recording as configured (empty condition, one trial, ...)."""


class NetworkError(FitrecError, ValueError):
    """A network that cannot be built as configured (more units than neurons, in-degree above the pool, ...)."""


class ModelError(FitrecError, ValueError):
    """A neuron model that cannot be used (undefined symbol, units that do not agree, no derivative, ...).

    Parameters
    ----------
    message : str
    line, column : int
        Where in the model's text, from 1; 0 if it is not about a place.
    source : str
        File or name of the model.

    """

    def __init__(self, message: str, line: int = 0, column: int = 0, source: str = "") -> None:
        self.message, self.line, self.column, self.source = message, line, column, source
        place = [source] if source else []
        if line:
            place.append(f"line {line}, column {column}")
        super().__init__(f"{', '.join(place)}: {message}" if place else message)

    def within(self, source: str) -> "ModelError":
        """Return the same error with the model's file or name."""
        return ModelError(self.message, self.line, self.column, source)


class TrainingError(FitrecError, RuntimeError):
    """Training that had to stop (non-finite weights, changed inputs, unusable checkpoint)."""


class DeviceError(FitrecError, RuntimeError):
    """A GPU that is not there, or has too little memory."""


class StoreError(FitrecError, OSError):
    """A file or store that is missing, damaged, of another kind, already there, or cannot be written."""


class MissingFileError(StoreError, FileNotFoundError):
    """A file that was named but does not exist."""


def as_sentence(text: str) -> str:
    """End a message as a sentence ends: with a full stop, unless it asks something."""
    return text if text.endswith("?") else text.rstrip(".") + "."
