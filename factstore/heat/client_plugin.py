"""Heat's client plugin: the Python client with the context's session and the catalog's endpoint."""

from __future__ import annotations

from heat.common import config, exception
from heat.engine.clients import client_plugin
from oslo_config import cfg

from factstore import SERVICE_TYPE
from factstore.client import Client, StackRecord, errors
from factstore.client.urls import stack_url
from factstore.cloud_init import Download
from factstore.heat.errors import translated

CLIENT_NAME = "factstore"

# An engine thread waits no longer than both together, which is enough for a restart of the service.
_ANSWER_SECONDS = 5.0
_RETRY_SECONDS = 10.0

_OVER_LIMIT = frozenset({"contextualization.quota_exceeded", "contextualization.rate_limited"})

_GROUP = f"clients_{CLIENT_NAME}"
_INSTALL = cfg.StrOpt(
    "install",
    help="Default of the property install of OS::FactStore::Grant: the URL of the agent that instances "
    "download, followed by #sha256= and its digest, or an empty string if images contain the agent.  "
    "Without this option, instances download it from the service.",
)

_SERVICE_TYPE = cfg.StrOpt(
    "service_type",
    default=SERVICE_TYPE,
    help="Type of factstore in the catalog of Keystone.",
)

# [clients_factstore] has the options of [clients], for factstore alone.
cfg.CONF.register_opts([*config.clients_opts, _INSTALL, _SERVICE_TYPE], group=_GROUP)


class FactstoreClientPlugin(client_plugin.ClientPlugin):
    """The client plugin of factstore's resources.

    Heat itself uses the endpoint that ``endpoint_type`` in ``[clients_factstore]`` or ``[clients]``
    selects.  Instances always use the public one.
    """

    exceptions_module = errors

    @property
    def service_types(self) -> tuple[str, ...]:
        """The type in the catalog; Heat checks before it creates a resource that it has an endpoint."""
        return (cfg.CONF[_GROUP].service_type,)

    def _create(self, version: str | None = None) -> Client:
        return self.connect(answer_within=_ANSWER_SECONDS, retry_for=_RETRY_SECONDS)

    def connect(self, *, answer_within: float, retry_for: float) -> Client:
        """Return a client with timeouts of its own; see :class:`factstore.client.Client`."""
        return Client(
            self.context.keystone_session,
            service_type=self.service_types[0],
            interface=self._get_client_option(CLIENT_NAME, "endpoint_type"),
            region_name=self._get_region_name(),
            answer_within=answer_within,
            retry_for=retry_for,
            connect_retries=0,  # the client retries by itself, where that is safe
            client_name="factstore-heat",
        )

    def is_not_found(self, ex: Exception) -> bool:
        """Return whether the error means that something does not exist."""
        return isinstance(ex, errors.NotFound)

    def is_over_limit(self, ex: Exception) -> bool:
        """Return whether the error means that a quota or a rate limit was exceeded."""
        return isinstance(ex, errors.FactstoreError) and ex.code in _OVER_LIMIT

    def is_conflict(self, ex: Exception) -> bool:
        """Return whether the error means that the stored state conflicts with the request."""
        return isinstance(ex, errors.Conflict | errors.PreconditionFailed)

    def public_root(self) -> str:
        """Return the URL of the service for instances and users.

        :raises heat.common.exception.Error: the catalog has no public endpoint.
        """
        with translated():
            root: str = self.url_for(service_type=self.service_types[0], interface="public")
            return root.rstrip("/").removesuffix("/v1")

    def public_url(self, stack: str) -> str:
        """Return the URL of a stack for instances and users.

        :raises heat.common.exception.Error: the catalog has no public endpoint.
        """
        return self.public_root() + stack_url(stack)

    def agent(self, install: str | None) -> Download | None:
        """Return the agent that instances download; None if their image contains it.

        :param install: see the option of this name, which is the default.
        :raises ValueError: it is neither empty nor the URL of an agent with its digest.
        :raises heat.common.exception.Error: the service offers no agent.
        """
        if install is None:
            install = cfg.CONF[_GROUP].install
        if install is not None:
            return Download.of(install) if install else None
        with translated():
            digest = self.client().agent_sha256()
        return Download(f"{self.public_root()}/v1/agent?sha256={digest}", digest)

    def get_stack(self, name: str) -> StackRecord:
        """Return a stack of factstore.

        :raises heat.common.exception.EntityNotFound: the stack does not exist.
        :raises heat.common.exception.Error: the request failed.
        """
        with translated():
            try:
                client: Client = self.client()
                return client.stack(name).describe()
            except errors.NotFound as error:
                raise exception.EntityNotFound(entity="factstore stack", name=name) from error
