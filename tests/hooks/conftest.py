"""A service and instances, as for the tests of agents."""

from tests.agent.conftest import api, make, stack

__all__ = ["api", "make", "stack"]
