"""Clients for what facts are moved from and to: Heat in this cloud, and the service in another one."""

from __future__ import annotations

from typing import Any

from osc_lib import exceptions

from factstore.client import Client
from factstore.transfer.heat import Get


def heat_of(manager: Any) -> Get:
    """Return what reads from Heat, with the session of the command.

    :param manager: the client manager of OpenStackClient.
    """
    from keystoneauth1 import exceptions as ksa
    from keystoneauth1.adapter import Adapter

    adapter = Adapter(
        manager.session,
        service_type="orchestration",
        interface=manager.interface or None,
        region_name=manager.region_name or None,
    )

    def get(path: str) -> Any:
        try:
            return adapter.get(path, headers={"Accept": "application/json"}).json()
        except ksa.ClientException as error:
            raise exceptions.CommandError(f"Heat does not return {path}: {error}") from None

    return get


def client_of_cloud(name: str) -> Client:
    """Return a client for a cloud of clouds.yaml."""
    import openstack.config
    from openstack.exceptions import ConfigException

    try:
        region = openstack.config.get_cloud_region(cloud=name, load_envvars=False)
        return Client(
            region.get_session(),
            interface=region.get_interface("contextualization"),
            region_name=region.get_region_name() or None,
            endpoint_override=region.get_endpoint("contextualization"),
        )
    except ConfigException as error:
        raise exceptions.CommandError(f"--to-cloud {name}: {error}") from None
