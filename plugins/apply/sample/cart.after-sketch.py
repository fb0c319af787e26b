"""A cart."""

import json


class Cart:
    def __init__(self):
        self.items = []

    def add(self, name, price, count=1):
        self.items.extend([(name, price)] * count)

    def total(self):
        total = sum(price for _, price in self.items)
        return round(total, 2)

    def to_json(self):
        return json.dumps(self.items)
