"""Prices with discounts and taxes, in cents."""


class UnknownCode(ValueError):
    """There is no discount of that name."""


DISCOUNTS = {"SPRING": 10, "FRIEND": 25}


def discounted(cents: int, code: str | None = None) -> int:
    """The price after a discount, rounded down to the cent."""
    if cents < 0:
        raise ValueError(f"a price cannot be {cents}")
    if code is None:
        return cents
    if code not in DISCOUNTS:
        raise UnknownCode(code)
    return cents * (100 - DISCOUNTS[code]) // 100


def with_tax(cents: int, percent: int = 19) -> int:
    """The price with tax, rounded half up."""
    return (cents * (100 + percent) + 50) // 100


def total(items: list[int], code: str | None = None) -> int:
    """What a customer pays for several items."""
    return with_tax(sum(discounted(item, code) for item in items))
