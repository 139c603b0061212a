"""Formulas in server.yaml: arithmetic and comparisons over settings and limits, without `eval`."""

from __future__ import annotations

import ast
import math
import operator
from collections.abc import Mapping
from typing import Any

from simpleeval import DEFAULT_OPERATORS, InvalidExpression, SimpleEval

from topolab.errors import LabError

LONGEST = 1000  # characters of a formula
UNLIMITED = math.inf  # what an unset limit counts as


def _floor_div(left: float, right: float) -> float:
    return left if math.isinf(left) else operator.floordiv(left, right)  # inf // 2 is nan in Python


_OPERATORS = {**DEFAULT_OPERATORS, ast.FloorDiv: _floor_div}


def evaluate(expression: str | int | bool, names: Mapping[str, Any], *, where: str) -> Any:
    """The value of a formula.

    `names` are the server's settings, the limits and `requests`; `min`, `max` and `unlimited` are always
    known. `where` (file and key) begins the error, a `LabError`, that a wrong formula gives.
    """
    if not isinstance(expression, str):
        return expression
    if len(expression) > LONGEST:
        raise LabError(f"{where}: the formula has {len(expression)} characters. Write one of at most {LONGEST}.")
    evaluator = SimpleEval(
        operators=_OPERATORS,
        functions={"min": min, "max": max},
        names={**names, "unlimited": UNLIMITED, "true": True, "false": False},
    )
    try:
        return evaluator.eval(expression, ast.parse(expression.strip(), mode="eval").body)
    except (InvalidExpression, SyntaxError, TypeError, ValueError, ArithmeticError, RecursionError) as error:
        known = ", ".join(sorted(names))
        raise LabError(f'{where}: the formula "{expression}" does not work: {error}. It may use {known}.') from error


def count(expression: str | int, names: Mapping[str, Any], *, where: str) -> float:
    """A formula that gives a count: a whole number, 0 or more, or `unlimited`."""
    value = evaluate(expression, names, where=where)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or math.isnan(value):
        raise LabError(f'{where}: the formula "{expression}" gives {value!r}. It must give a number.')
    return value if math.isinf(value) else max(0, int(value))
