"""A pytest fixture: write `from ringfence.fake.fixture import host` in conftest.py, and take `host` in a test."""

from collections.abc import Iterator

import pytest

from ringfence.fake.host import Host


@pytest.fixture
def host() -> Iterator[Host]:
    """A host for the test."""
    with Host() as fake:
        yield fake
