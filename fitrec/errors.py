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


class TrainingError(FitrecError, RuntimeError):
    """Training that had to stop (non-finite weights, changed inputs, unusable checkpoint)."""


class DeviceError(FitrecError, RuntimeError):
    """A GPU that is not there, or has too little memory."""


class StoreError(FitrecError, OSError):
    """A file or store that is missing, damaged, of another kind, already there, or cannot be written."""


class MissingFileError(StoreError, FileNotFoundError):
    """A file that was named but does not exist."""
