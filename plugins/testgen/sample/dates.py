"""Days on which we deliver."""

from datetime import date, timedelta


def next_delivery(ordered: date) -> date:
    """The next working day after the order."""
    day = ordered + timedelta(days=1)
    while day.weekday() >= 5:
        day += timedelta(days=1)
    return day
