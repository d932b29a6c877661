"""A calculator for numbers and the operators + - * / // % **, which evaluates no Python."""

import ast
import math
import operator
from collections.abc import Callable

from cortex.domains.tools.tool_calls import CallError

LONGEST = 200
"""Characters of the longest expression."""
LARGEST = 10**30
"""Numbers beyond are refused, and so are powers that would pass it: no expression takes time or memory."""

Number = int | float

_BINARY: dict[type[ast.operator], Callable[[Number, Number], Number]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
}
_UNARY: dict[type[ast.unaryop], Callable[[Number], Number]] = {ast.UAdd: operator.pos, ast.USub: operator.neg}


def calculate(expression: str) -> str:
    """The value of an expression, whole numbers exactly, others to ten significant digits.

    Raises:
        CallError: it is too long or no arithmetic, or its value is undefined or too large.
    """
    if len(expression) > LONGEST:
        raise CallError(f"an expression has at most {LONGEST} characters")
    try:
        tree = ast.parse(expression.strip(), mode="eval")
        value = _value(tree.body)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        raise CallError("that is no arithmetic") from None
    except ZeroDivisionError:
        raise CallError("division by zero") from None
    except OverflowError:
        raise CallError("the number is too large") from None
    return str(int(value)) if float(value).is_integer() else f"{value:.10g}"


def _value(node: ast.expr) -> Number:
    match node:
        case ast.Constant(value=int() | float() as number) if not isinstance(number, bool):
            return _bounded(number)
        case ast.UnaryOp(op=sign, operand=operand) if type(sign) in _UNARY:
            return _UNARY[type(sign)](_value(operand))
        case ast.BinOp(left=left, op=ast.Pow(), right=right):
            return _power(_value(left), _value(right))
        case ast.BinOp(left=left, op=sign, right=right) if type(sign) in _BINARY:
            return _bounded(_BINARY[type(sign)](_value(left), _value(right)))
        case _:
            raise CallError("only numbers, + - * / // % ** and parentheses are arithmetic")


def _power(base: Number, exponent: Number) -> Number:
    if base and abs(exponent) * abs(math.log(abs(base))) > math.log(LARGEST):
        raise CallError("the number is too large")
    value = base**exponent
    if isinstance(value, complex):
        raise CallError("that has no real value")
    return _bounded(value)


def _bounded(value: Number) -> Number:
    if not abs(value) <= LARGEST:
        raise CallError("the number is too large")
    return value
