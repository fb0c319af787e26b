from datetime import date

import pytest

from dates import next_delivery


@pytest.mark.parametrize(
    ("ordered", "delivered"),
    [
        (date(2026, 11, 23), date(2026, 11, 24)),
        (date(2026, 11, 27), date(2026, 11, 30)),
    ],
)
def test_orders_arrive_on_the_next_working_day(ordered, delivered):
    assert next_delivery(ordered) == delivered
