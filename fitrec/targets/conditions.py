"""Conditions from trial columns: every combination of values, or rules made of clauses.

A clause is ``<column> <op> <column or value>`` with op one of ==, !=, <, <=, >, >=, in, startswith. The right side is a column if
the trial table has one of that name, else a value: a number for a column of numbers, true or false for booleans, text otherwise
(quotes are optional). ``in`` takes values separated by commas, in brackets if you like.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from fitrec.errors import TargetsError

_CLAUSE = re.compile(
    r"^\s*(?P<column>.+?)\s*(?P<op>==|!=|<=|>=|<|>|(?<=\s)in(?=\s)|(?<=\s)startswith(?=\s))\s*(?P<right>.+?)\s*$"
)

_COMPARE: dict[str, Callable[[Any, Any], Any]] = {
    "==": lambda left, right: left == right,
    "!=": lambda left, right: left != right,
    "<": lambda left, right: left < right,
    "<=": lambda left, right: left <= right,
    ">": lambda left, right: left > right,
    ">=": lambda left, right: left >= right,
}


def assign_conditions(
    trials: pd.DataFrame, *, condition_by: Sequence[str] | None = None, rules: Mapping[str, Sequence[str]] | None = None
) -> tuple[list[str], NDArray[np.int32]]:
    """Give each trial its condition.

    Parameters
    ----------
    trials : pandas.DataFrame
        One row per trial.
    condition_by : sequence of str or None
        Columns; each combination of their values is one condition.
    rules : mapping or None
        Name of a condition -> clauses, all of which must hold. Without `condition_by` and rules all trials are one condition.

    Returns
    -------
    names : list of str
        The conditions.
    condition : (trial,) int32
        Index into `names`, -1 for a trial that fits no rule.

    Raises
    ------
    TargetsError
        If a column is missing, a clause cannot be understood, a condition has no trial, or a trial fits two rules.

    """
    if rules is not None:
        return _by_rules(trials, rules)
    if condition_by is not None:
        return _by_columns(trials, condition_by)
    if trials.empty and len(trials) == 0:
        raise TargetsError(
            "the recording has no trials; name a trial table that has some, cut it into trials, or fit time itself "
            "(targets.continuous)"
        )
    return ["all"], np.zeros(len(trials), np.int32)


def _by_columns(trials: pd.DataFrame, columns: Sequence[str]) -> tuple[list[str], NDArray[np.int32]]:
    for column in columns:
        missing = _column(trials, column, "condition_by").isna()
        if missing.any():
            raise TargetsError(
                f"{missing.sum()} trials, the first of them trial {int(np.argmax(missing))}, have no value in column '{column}' "
                "of condition_by; use conditions with rules, which leave trials out"
            )
    combinations = trials[list(columns)].drop_duplicates().sort_values(list(columns)).reset_index(drop=True)
    if combinations.empty:
        raise TargetsError("the recording has no trials, so there are no conditions; name a trial table that has some")
    names = [
        _text(row[0]) if len(columns) == 1 else " ".join(f"{c}={_text(v)}" for c, v in zip(columns, row, strict=True))
        for row in combinations.itertuples(index=False)
    ]
    condition = np.full(len(trials), -1, np.int32)
    for index, row in enumerate(combinations.itertuples(index=False)):
        condition[np.logical_and.reduce([(trials[c] == v).to_numpy() for c, v in zip(columns, row, strict=True)])] = index
    return names, condition


def _by_rules(trials: pd.DataFrame, rules: Mapping[str, Sequence[str]]) -> tuple[list[str], NDArray[np.int32]]:
    names = list(rules)
    condition = np.full(len(trials), -1, np.int32)
    for index, (name, clauses) in enumerate(rules.items()):
        holds = np.ones(len(trials), np.bool_)
        for clause in clauses:
            holds &= clause_holds(trials, clause)
        if not holds.any():
            raise TargetsError(
                f"condition {name} is empty: none of {len(trials)} trials fits {' and '.join(clauses) or 'it'}; correct its rule"
            )
        twice = np.flatnonzero(holds & (condition >= 0))
        if twice.size:
            raise TargetsError(
                f"trial {twice[0]} fits the rules of both {names[condition[twice[0]]]} and {name} ({twice.size} trials do); "
                "make the rules exclude each other"
            )
        condition[holds] = index
    return names, condition


def clause_holds(table: pd.DataFrame, clause: str, rows: str = "trials") -> NDArray[np.bool_]:
    """Tell for which rows (row,) of a table, called `rows`, a clause holds; TargetsError if it cannot be understood."""
    match = _CLAUSE.match(clause)
    if match is None:
        raise TargetsError(
            f"clause '{clause}' cannot be understood; wanted '<column> <op> <column or value>' with op ==, !=, <, <=, >, >=, in "
            "or startswith"
        )
    left, op, right = _column(table, match["column"], f"clause '{clause}'", rows), match["op"], match["right"]
    if op == "startswith":
        return left.astype(str).str.startswith(_unquoted(right)).to_numpy(np.bool_)
    if op == "in":
        return left.isin([_value(part, left, clause) for part in right.strip("[]()").split(",")]).to_numpy()
    other = table[right] if right in table else _value(right, left, clause)
    try:
        return np.asarray(_COMPARE[op](left, other), np.bool_)
    except TypeError as error:
        raise TargetsError(f"clause '{clause}' compares {left.dtype} with another type; compare numbers with numbers") from error


def _column(table: pd.DataFrame, column: str, where: str, rows: str = "trials") -> "pd.Series[Any]":
    if column not in table:
        raise TargetsError(
            f"the {rows} have no column '{column}' ({where}); they have {', '.join(map(str, table.columns)) or 'none'}"
        )
    return table[column]


def _value(text: str, column: "pd.Series[Any]", clause: str) -> Any:
    """Read a value as the type of the column it is compared with."""
    text = text.strip()
    if column.dtype.kind == "b":
        if text.lower() not in ("true", "false"):
            raise TargetsError(f"clause '{clause}' compares true/false values with '{text}'; write true or false")
        return text.lower() == "true"
    if column.dtype.kind in "iuf":
        try:
            return float(text)
        except ValueError:
            raise TargetsError(
                f"clause '{clause}' compares the numbers of column '{column.name}' with '{text}', which is neither a number nor "
                "a column"
            ) from None
    return _unquoted(text)


def _unquoted(text: str) -> str:
    return text[1:-1] if len(text) > 1 and text[0] == text[-1] and text[0] in "'\"" else text


def _text(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)
