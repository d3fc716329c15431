"""Heat's client plugin: the Python client with the context's session and the catalogue's endpoint."""

from __future__ import annotations

from heat.common import config, exception
from heat.engine.clients import client_plugin
from oslo_config import cfg

from factstore.client import Client, StackRecord, errors
from factstore.client.adapter import SERVICE_TYPE
from factstore.client.urls import stack_url
from factstore.heat.errors import spoken

CLIENT_NAME = "factstore"

# An engine thread waits no longer than both together; a restarted service is back within that.
_ANSWER_SECONDS = 5.0
_RETRY_SECONDS = 10.0

_OVER_LIMIT = frozenset({"contextualization.quota_exceeded", "contextualization.rate_limited"})

# So that [clients_factstore] can say what [clients] says for all services.
cfg.CONF.register_opts(config.clients_opts, group=f"clients_{CLIENT_NAME}")


class FactstoreClientPlugin(client_plugin.ClientPlugin):
    """What resources reach factstore by.

    ``endpoint_type`` in ``[clients_factstore]`` or ``[clients]`` says which of the catalogue's
    endpoints Heat itself uses; instances are always told the public one.
    """

    exceptions_module = errors
    service_types = (SERVICE_TYPE,)

    def _create(self, version: str | None = None) -> Client:
        return self.connect(answer_within=_ANSWER_SECONDS, retry_for=_RETRY_SECONDS)

    def connect(self, *, answer_within: float, retry_for: float) -> Client:
        """A client with a patience of its own; see :class:`factstore.client.Client`."""
        return Client(
            self.context.keystone_session,
            interface=self._get_client_option(CLIENT_NAME, "endpoint_type"),
            region_name=self._get_region_name(),
            answer_within=answer_within,
            retry_for=retry_for,
            connect_retries=0,  # the client repeats by itself, and knows when that is safe
            client_name="factstore-heat",
        )

    def is_not_found(self, ex: Exception) -> bool:
        """Whether there is no such thing."""
        return isinstance(ex, errors.NotFound)

    def is_over_limit(self, ex: Exception) -> bool:
        """Whether a quota or a rate stands in the way."""
        return isinstance(ex, errors.FactstoreError) and ex.code in _OVER_LIMIT

    def is_conflict(self, ex: Exception) -> bool:
        """Whether it contradicts what is stored."""
        return isinstance(ex, errors.Conflict | errors.PreconditionFailed)

    def public_url(self, stack: str) -> str:
        """Where a stack is for those outside: what instances are told.

        :raises heat.common.exception.Error: the catalogue has no public endpoint.
        """
        with spoken():
            root: str = self.url_for(service_type=SERVICE_TYPE, interface="public")
            return root.rstrip("/").removesuffix("/v1") + stack_url(stack)

    def get_stack(self, name: str) -> StackRecord:
        """A stack that exists.

        :raises heat.common.exception.EntityNotFound: there is none.
        :raises heat.common.exception.Error: factstore cannot say.
        """
        with spoken():
            try:
                client: Client = self.client()
                return client.stack(name).describe()
            except errors.NotFound as error:
                raise exception.EntityNotFound(entity="factstore stack", name=name) from error
