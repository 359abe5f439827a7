import numpy as np
import pandas as pd
import pytest

from fitrec.errors import TargetsError
from fitrec.targets.conditions import assign_conditions, clause_holds

TRIALS = pd.DataFrame(
    {
        "left": [0.0, 0.5, 1.0, 0.0],
        "right": [0.5, 0.5, 0.0, 0.0],
        "object": ["car_upper", "car_lower", "face_upper", "in side"],
        "correct": [True, False, True, True],
        "block no": [1, 2, 3, 4],
    }
)


@pytest.mark.parametrize(
    ("clause", "holds"),
    [
        ("left > right", [False, False, True, False]),
        ("left<=right", [True, True, False, True]),
        ("left == 0.5", [False, True, False, False]),
        ("left != 0", [False, True, True, False]),
        ("block no >= 3", [False, False, True, True]),
        ("block no in [1, 4]", [True, False, False, True]),
        ("object in car_upper, face_upper", [True, False, True, False]),
        ("object in ('car_upper', \"in side\")", [True, False, False, True]),
        ("object startswith car", [True, True, False, False]),
        ("object startswith 'in '", [False, False, False, True]),
        ("object == 'in side'", [False, False, False, True]),
        ("object == in side", [False, False, False, True]),
        ("correct == false", [False, True, False, False]),
        ("correct != False", [True, False, True, True]),
    ],
)
def test_clauses(clause: str, holds: list[bool]) -> None:
    assert clause_holds(TRIALS, clause).tolist() == holds


@pytest.mark.parametrize(
    ("clause", "sentence"),
    [
        ("left", "cannot be understood"),
        ("left = 3", "cannot be understood"),
        ("left >", "cannot be understood"),
        ("choice == 1", r"no column 'choice' \(clause 'choice == 1'\); they have left, right, object, correct, block no"),
        ("left == big", "compares the numbers of column 'left' with 'big'"),
        ("correct == 1", "write true or false"),
        ("object < left", "compares"),
    ],
)
def test_clauses_that_fail(clause: str, sentence: str) -> None:
    with pytest.raises(TargetsError, match=sentence):
        clause_holds(TRIALS, clause)


def test_rules() -> None:
    names, condition = assign_conditions(
        TRIALS, rules={"left": ["left > right"], "tie": ["left == right", "left > 0"], "right": ["right > left"]}
    )
    assert names == ["left", "tie", "right"]
    assert condition.tolist() == [2, 1, 0, -1]


def test_columns() -> None:
    names, condition = assign_conditions(TRIALS, condition_by=["left", "correct"])
    assert names == ["left=0 correct=True", "left=0.5 correct=False", "left=1 correct=True"]
    assert condition.tolist() == [0, 1, 2, 0]
    assert assign_conditions(TRIALS, condition_by=["left"])[0] == ["0", "0.5", "1"]


def test_all_trials_are_one_condition() -> None:
    names, condition = assign_conditions(TRIALS)
    assert names == ["all"]
    assert condition.tolist() == [0, 0, 0, 0]


def test_empty_condition() -> None:
    with pytest.raises(TargetsError, match="condition high is empty: none of 4 trials fits left > 5"):
        assign_conditions(TRIALS, rules={"high": ["left > 5"]})


def test_overlapping_conditions() -> None:
    with pytest.raises(TargetsError, match=r"trial 2 fits the rules of both a and b \(1 trials do\)"):
        assign_conditions(TRIALS, rules={"a": ["left > right"], "b": ["object startswith face"]})


def test_missing_column_and_value() -> None:
    with pytest.raises(TargetsError, match=r"no column 'choice' \(condition_by\)"):
        assign_conditions(TRIALS, condition_by=["choice"])
    with pytest.raises(TargetsError, match="1 trials, the first of them trial 1, have no value in column 'left'"):
        assign_conditions(TRIALS.assign(left=[0, np.nan, 1, 1]), condition_by=["left"])


def test_no_trials() -> None:
    for by in (None, ["left"]):
        with pytest.raises(TargetsError, match="no trials"):
            assign_conditions(TRIALS.iloc[:0], condition_by=by)
