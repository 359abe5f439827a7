"""The registered checks, and running them.

A check is a function that takes a `Context` (one recording of a run) and yields one sentence per finding; its docstring says what
should hold. Its level says what a finding means. CRITICAL: the run would fail. BEST_PRACTICE_VIOLATION: it would run, but its
result would mislead or disappoint. SUGGESTION: something to consider.
"""

import importlib
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from typing import Literal

from fitrec.checks.context import Context
from fitrec.config.run import RunConfig
from fitrec.errors import ConfigError, as_sentence

Level = Literal["CRITICAL", "BEST_PRACTICE_VIOLATION", "SUGGESTION"]
LEVELS: tuple[Level, ...] = ("CRITICAL", "BEST_PRACTICE_VIOLATION", "SUGGESTION")
Check = Callable[[Context], Iterator[str]]

_MODULES = ("files", "activity", "continuous", "model", "neurons", "dynamics")  # in the order of the pipeline


@dataclass(frozen=True)
class Finding:
    """What a check found for one recording."""

    level: Level
    check: str
    recording: str
    message: str

    def as_dict(self) -> dict[str, str]:
        """Return the finding for JSON."""
        return asdict(self)


@dataclass(frozen=True)
class _Registered:
    level: Level
    function: Check


_registered: list[_Registered] = []


def register(level: Level) -> Callable[[Check], Check]:
    """Register a check."""

    def decorate(function: Check) -> Check:
        _registered.append(_Registered(level, function))
        return function

    return decorate


def run_checks(run: RunConfig) -> list[Finding]:
    """Run all checks on every recording; the findings come by level, then in the order of the pipeline."""
    for module in _MODULES:
        importlib.import_module(f"fitrec.checks.{module}")
    findings = []
    for recording in run.recordings:
        context = Context(run, recording)
        for rule in run.all_rules:
            context = context.with_rule(rule)
            for check in _registered:
                name = check.function.__name__
                findings += [Finding(check.level, name, recording.name, message) for message in check.function(context)]
    return sorted(dict.fromkeys(findings), key=lambda finding: LEVELS.index(finding.level))


def refuse_critical(run: RunConfig) -> None:
    """Raise ConfigError with the first critical finding: every run begins with this, before anything is written."""
    critical = [finding for finding in run_checks(run) if finding.level == "CRITICAL"]
    if critical:
        more = f" (and {len(critical) - 1} more: see 'fitrec check')" if len(critical) > 1 else ""
        raise ConfigError(as_sentence(f"Recording {critical[0].recording}: {critical[0].message}{more}"))
