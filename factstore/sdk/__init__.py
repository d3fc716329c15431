"""The service in openstacksdk: ``connection.contextualization``.

Either add it to a connection::

    import openstack
    import factstore.sdk

    connection = openstack.connect(cloud="lab")
    factstore.sdk.add_service(connection)
    connection.contextualization.wait_for_fact("slurm", "nodes/head/ip", timeout=600).value

or let ``clouds.yaml`` do that for every connection to a cloud, with ``vendor_hook:
factstore.sdk:add_service``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from openstack.service_description import ServiceDescription

from factstore import SERVICE_TYPE
from factstore.sdk.proxy import Proxy

if TYPE_CHECKING:
    from openstack.connection import Connection

__all__ = ["Proxy", "add_service"]


def add_service(connection: Connection) -> None:
    """Add the attribute ``contextualization``, a :class:`Proxy`, to a connection."""
    connection.add_service(ServiceDescription(SERVICE_TYPE, supported_versions={"1": Proxy}))
