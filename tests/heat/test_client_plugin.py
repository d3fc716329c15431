"""The client plugin: its endpoints, and its classes of errors."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

import pytest
import requests
from heat.common import context, exception
from keystoneauth1 import adapter
from oslo_config import cfg

from factstore.client import errors
from factstore.cloud_init import Download
from factstore.cmd.processes.accounts import ensure, point
from factstore.cmd.processes.keystone import KeystoneServer
from factstore.heat.client_plugin import FactstoreClientPlugin
from tests.heat.lab.catalogue import Catalogue
from tests.service import ApiServer

NOWHERE = "http://127.0.0.1:9"


class Caller(context.RequestContext):
    """The context of a request in Heat, whose session is a user's."""


@pytest.fixture
def plugin(keystone: KeystoneServer, service: ApiServer) -> Iterator[FactstoreClientPlugin]:
    """The plugin with the session of an owner of stacks."""
    caller = Caller(is_admin=False)
    caller._keystone_session = keystone.accounts.session("owner")
    yield FactstoreClientPlugin(caller)
    for option in ("endpoint_type", "install", "service_type"):
        cfg.CONF.clear_override(option, group="clients_factstore")


def test_heat_uses_the_configured_endpoint_and_instances_the_public_one(
    plugin: FactstoreClientPlugin, catalogue: Catalogue, service: ApiServer, name: str
) -> None:
    catalogue.point("public", f"{NOWHERE}/v1/")
    cfg.CONF.set_override("endpoint_type", "internal", group="clients_factstore")
    plugin.client().stack(name).put("a", 1)
    assert plugin.client().endpoint == service.url
    assert plugin.public_url(name) == f"{NOWHERE}/v1/stacks/{name}"
    assert plugin.get_stack(name).name == name
    plugin.client().stack(name).delete_stack()


def test_the_catalogue_can_have_another_type(
    plugin: FactstoreClientPlugin, keystone: KeystoneServer, service: ApiServer
) -> None:
    cfg.CONF.set_override("service_type", "acme:facts", group="clients_factstore")
    with pytest.raises(exception.Error):
        plugin.public_root()
    admin = adapter.Adapter(
        keystone.accounts.session("admin"), endpoint_override=keystone.accounts.auth_url
    )
    point(admin, ensure(admin, "service", "acme", type="acme:facts"), service.url)
    plugin.context._keystone_session = keystone.accounts.session("owner")
    assert plugin.service_types == ("acme:facts",)
    assert plugin.public_root() == plugin.client().endpoint == service.url


def test_instances_download_the_agent_from_the_service_by_default(
    plugin: FactstoreClientPlugin, service: ApiServer
) -> None:
    offered = plugin.agent(None)
    assert offered is not None
    content = requests.get(offered.url, timeout=60).content
    assert hashlib.sha256(content).hexdigest() == offered.sha256
    elsewhere = Download("https://mirror.example/agent.pyz", "0f" * 32)
    there = f"{elsewhere.url}#sha256={elsewhere.sha256}"
    assert plugin.agent("") is None
    assert plugin.agent(there) == elsewhere
    cfg.CONF.set_override("install", there, group="clients_factstore")
    assert plugin.agent(None) == elsewhere
    cfg.CONF.set_override("install", "", group="clients_factstore")
    assert plugin.agent(None) is None


def test_a_missing_stack_raises_an_error_of_heat(plugin: FactstoreClientPlugin, name: str) -> None:
    with pytest.raises(exception.EntityNotFound, match=rf"factstore stack \({name}\)"):
        plugin.get_stack(name)
    with pytest.raises(
        exception.Error, match="The stack name 'a/b' is not valid: it is one segment"
    ):
        plugin.get_stack("a/b")


def test_errors_are_classified(plugin: FactstoreClientPlugin) -> None:
    missing, conflict = errors.NotFound("x"), errors.Conflict("x")
    quota = errors.Forbidden("x", code="contextualization.quota_exceeded")
    denied = errors.Forbidden("x", code="contextualization.forbidden")
    questions = (plugin.is_not_found, plugin.is_conflict, plugin.is_over_limit)
    assert [ask(missing) for ask in questions] == [True, False, False]
    assert [ask(conflict) for ask in questions] == [False, True, False]
    assert [ask(quota) for ask in questions] == [False, False, True]
    assert [ask(denied) for ask in questions] == [False, False, False]
    assert [ask(ValueError()) for ask in questions] == [False, False, False]
    assert plugin.is_client_exception(missing)
    assert not plugin.is_client_exception(ValueError())
