"""A third service, which asks Keystone who calls and keeps tokens in memcached, and its clients."""

from __future__ import annotations

from contextlib import ExitStack

from factstore.client import Stack, connect
from factstore.cmd.processes.accounts import PERSONAS
from factstore.cmd.processes.keystone import KeystoneServer
from tests.faults.checker import Scope
from tests.gate.world import World
from tests.memcached import Memcached
from tests.service import ApiServer

PERSONA = "owner"


class Identity:
    """The service, Keystone and memcached."""

    def __init__(self, world: World, keystone: KeystoneServer, started: ExitStack) -> None:
        self.keystone = keystone
        self.memcached = Memcached(world.directory)
        self.memcached.start()
        started.callback(self.memcached.kill)
        options = {
            "keystone_authtoken": {
                "memcached_servers": self.memcached.address,
                "token_cache_time": 300,
                "http_request_max_retries": 0,
            }
        }
        self.service = ApiServer(
            world.cluster.endpoints,
            world.directory / "api-identity",
            auth="keystone",
            keystone=keystone,
            options=options,
        )
        started.callback(self.service.kill)
        self.service.start()
        self._project_id = keystone.accounts.project_id(PERSONA)

    def stack(self, name: str) -> tuple[Stack, Scope]:
        """Return a stack, for a client with a token of its own, and its scope."""
        environ = {
            "OS_AUTH_URL": self.keystone.auth_url,
            "OS_USERNAME": PERSONAS[PERSONA].username,
            "OS_PASSWORD": self.keystone.accounts.password(PERSONA),
            "OS_USER_DOMAIN_ID": "default",
            "OS_PROJECT_ID": self._project_id,
            "OS_CONTEXTUALIZATION_ENDPOINT_OVERRIDE": self.service.url,
        }
        client = connect(environ, retry_for=0, answer_within=25)
        return client.stack(name), Scope(self._project_id, name)
