"""A cart."""

import json


class Cart:
    def __init__(self):
        self.items = []

    def add(self, name, price):
        self.items.append((name, price))

    def total(self):
        return sum(price for _, price in self.items)

    def to_json(self):
        return json.dumps(self.items)
