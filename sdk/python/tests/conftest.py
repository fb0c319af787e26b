import pytest
from ringfence import skill
from ringfence.fake.fixture import host  # noqa: F401


@pytest.fixture(autouse=True)
def no_tools():
    """Tools are gathered as they are defined; each test has its own."""
    skill._registry.clear()
