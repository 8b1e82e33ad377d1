"""Amounts with their unit: the clinical kinds of number, exact, parsed once."""

from decimal import Decimal, InvalidOperation

from engine.kernel.errors import Invalid

LB_PER_KG = Decimal("2.20462262")


def amount(field: str, text: str, *, low: Decimal, high: Decimal) -> Decimal:
    """Parse a decimal amount within [low, high]. Raises Invalid(field, …), which never repeats the value."""
    try:
        value = Decimal(text)
    except InvalidOperation:
        raise Invalid(field, "write it as a plain decimal number") from None
    if not value.is_finite() or not low <= value <= high:
        raise Invalid(field, f"give a value between {low} and {high}")
    return value


def kg_from_lb(weight_lb: Decimal) -> Decimal:
    """Convert pounds to kilograms, to the nearest 0.1 kg."""
    return (weight_lb / LB_PER_KG).quantize(Decimal("0.1"))
