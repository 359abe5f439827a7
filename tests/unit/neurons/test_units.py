import pytest

from fitrec.errors import ModelError
from fitrec.neurons.dimensions import dimension
from fitrec.neurons.expression import Place, as_text, parse_expression
from fitrec.neurons.units import NUMBER, TIME, Dimension, parse_quantity, parse_unit

AT = Place(1, 1)


@pytest.mark.parametrize(
    ("text", "value", "base"),
    [
        ("20 ms", 20.0, "ms"),
        ("0.1 s", 100.0, "ms"),
        ("2.2 ms", 2.2, "ms"),
        ("10 Hz", 0.01, "1/ms"),
        ("-0.07 V", -70.0, "mV"),
        ("3 uS", 3000.0, "nS"),
        ("0.25 nF", 250.0, "pF"),
        ("100 MOhm", 0.1, "GOhm"),
        ("1.5 nA", 1500.0, "pA"),
        ("2 nS/ms", 2.0, "nS/ms"),
        ("5 mV*ms", 5.0, "mV*ms"),
        ("0.3 1/mV", 0.3, "1/mV"),
        ("4 mV^2/s", 0.004, "mV**2/ms"),
        ("7 nS*mV", 7.0, "pA"),
        ("7 pF*mV/ms", 7.0, "pA"),
        ("7 pF/nS", 7.0, "ms"),
        ("3", 3.0, "1"),
        ("1e-3 1", 0.001, "1"),
        ("5e-324", 5e-324, "1"),
    ],
)
def test_quantities_come_in_base_units(text: str, value: float, base: str) -> None:
    quantity = parse_quantity(text, AT)
    assert quantity.value == value
    assert str(quantity.dimension) == base


def test_equations_of_physiology_have_no_factors() -> None:
    nano_siemens, millivolt = parse_unit("nS", AT).dimension, parse_unit("mV", AT).dimension
    assert nano_siemens * millivolt == parse_unit("pA", AT).dimension
    assert parse_unit("pF", AT).dimension / nano_siemens == TIME
    assert millivolt / millivolt == NUMBER


@pytest.mark.parametrize(
    "text", ["20 apples", "ms", "20ms", "1e400 mV", "1e999999 ms", "nan mV", "2 mV + ms", "2 3 mV", "2 ms**0.5", ""]
)
def test_what_is_no_quantity_is_refused(text: str) -> None:
    with pytest.raises(ModelError) as caught:
        parse_quantity(text, Place(4, 7))
    assert caught.value.line == 4
    assert caught.value.column >= 7


KNOWN: dict[str, Dimension] = {
    **{name: parse_unit(unit, AT).dimension for name, unit in {"v": "mV", "i": "pA", "g": "nS", "c": "pF", "tau": "ms"}.items()},
    "dt": TIME,
}


@pytest.mark.parametrize(
    ("text", "unit"),
    [
        ("v + i / g", "mV"),
        ("exp(-dt / tau) * v", "mV"),
        ("dt / c * (i - g * v)", "mV"),
        ("sqrt(dt / tau) * v", "mV"),
        ("sqrt(v ** 2)", "mV"),
        ("max(v, 0)", "mV"),
        ("(v / 2) ** -1", "1/mV"),
        ("(dt / tau) ** (tau / dt)", "1"),
        ("detach(abs(v)) - v", "mV"),
    ],
)
def test_dimension_of_an_expression(text: str, unit: str) -> None:
    assert str(dimension(parse_expression(text, AT), KNOWN)) == unit


def test_zero_fits_every_unit() -> None:
    assert dimension(parse_expression("0 * v", AT), KNOWN) is None
    assert str(dimension(parse_expression("v + 0", AT), KNOWN)) == "mV"


@pytest.mark.parametrize(
    ("text", "column", "said"),
    [
        ("v + i", 1, ("'v' has mV", "'i' has pA", "in GOhm")),
        ("v - 1", 1, ("mV", "1")),
        ("v * exp(-tau)", 9, ("argument of exp", "ms")),
        ("v ** tau", 6, ("exponent", "ms")),
        ("v ** (dt / tau)", 1, ("exponent must be a number",)),
        ("min(v, g)", 1, ("both arguments of min", "nS")),
        ("round(v)", 7, ("argument of round", "mV")),
    ],
)
def test_units_that_do_not_agree_are_named(text: str, column: int, said: tuple[str, ...]) -> None:
    with pytest.raises(ModelError) as caught:
        dimension(parse_expression(text, AT), KNOWN)
    assert caught.value.column == column
    assert all(part in caught.value.message for part in said)


@pytest.mark.parametrize(
    "text", ["a - (b - c)", "a - b - c", "-a * b", "-(a + b)", "a / (b * c)", "(a ** b) ** c", "exp(-a / b) ** 2", "0.1"]
)
def test_text_of_an_expression_reads_as_the_same_expression(text: str) -> None:
    expression = parse_expression(text, AT)
    assert parse_expression(as_text(expression), AT) == expression


def test_text_has_brackets_only_where_needed() -> None:
    assert as_text(parse_expression("((a) + (b * c)) - exp((d))", AT)) == "a + b * c - exp(d)"
