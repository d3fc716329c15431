"""Custom constraints for properties."""

from __future__ import annotations

from heat.common import exception
from heat.engine import constraints

from factstore.heat.client_plugin import CLIENT_NAME


class StackConstraint(constraints.BaseCustomConstraint):
    """``factstore.stack``: a stack of that name exists in factstore."""

    resource_client_name = CLIENT_NAME
    resource_getter_name = "get_stack"
    expected_exceptions = (exception.HeatException,)
