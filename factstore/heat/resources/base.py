"""The base class of all resource types."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from heat.common import exception
from heat.engine import attributes, resource, support
from keystoneauth1.exceptions import ClientException
from oslo_log import log as logging

from factstore.client import Client, FactstoreError, errors
from factstore.heat.client_plugin import CLIENT_NAME
from factstore.heat.errors import message, translated

LOG = logging.getLogger(__name__)

Type = attributes.Schema
SINCE = support.SupportStatus(version="factstore 0.1")


def live_attribute(kind: str | None, description: str) -> attributes.Schema:
    """Return the schema of an attribute that is read from factstore each time."""
    return attributes.Schema(description, cache_mode=Type.CACHE_NONE, type=kind)


class FactstoreResource(resource.Resource):
    """A resource of factstore.

    Handlers may raise the errors of the client and of keystoneauth; this class turns them into Heat's.
    A subclass defines :meth:`attribute_value`, :meth:`is_own` and :meth:`remove`, and declares its
    attributes with :func:`live_attribute`.
    """

    default_client_name = CLIENT_NAME
    support_status = SINCE

    # A check also fails if factstore does not answer, which is no reason to replace the resource.
    always_replace_on_check_failed = False

    def attribute_value(self, name: str) -> Any:
        """Return the present value of an attribute.  The resource has a physical resource id."""
        raise NotImplementedError

    def remove(self) -> None:
        """Delete what the physical resource id names; NotFound is no error."""
        raise NotImplementedError

    def is_own(self) -> bool:
        """Return whether the thing that the physical resource id names is the resource's own.

        :raises factstore.client.errors.NotFound: the thing does not exist.
        """
        raise NotImplementedError

    def exists(self) -> bool:
        """Return whether the thing exists and is the resource's own."""
        try:
            return self.is_own()
        except errors.NotFound:
            return False

    @property
    def factstore(self) -> Client:
        """The client, with the user's token or the stack's trust."""
        client: Client = self.client()
        return client

    # Heat's hooks

    def handle_delete(self) -> None:
        """Delete the thing, if it was created and still exists."""
        if self.resource_id is not None:
            with self.client_plugin().ignore_not_found:
                self.remove()

    def handle_check(self) -> None:
        """Fail if the thing does not exist."""
        if self.resource_id is None or not self.exists():
            raise exception.Error(f"{self.resource_id or self.name} does not exist.")

    def needs_replace_failed(self) -> bool:
        """Return whether an update must replace a failed resource; one that exists is repaired."""
        if self.resource_id is None:
            return True
        with translated(), self.frozen_properties():
            return not self.exists()

    def action_handler_task(
        self, action: str, args: Sequence[Any] | None = None, action_prefix: str | None = None
    ) -> Iterator[Any]:
        """Run a handler, or poll it, with errors translated."""
        with translated():
            yield from super().action_handler_task(action, args, action_prefix)

    def _needs_update(self, *args: Any, **kwargs: Any) -> bool:
        # A failed update may be half done, so the update that repairs it must run even without a
        # change.
        return bool(super()._needs_update(*args, **kwargs)) or self.status == self.FAILED

    def _resolve_attribute(self, name: str) -> Any:
        if self.resource_id is None:
            return None
        try:
            # The resources that properties depend on may not be loaded here.
            with self.frozen_properties():
                return self.attribute_value(name)
        except (FactstoreError, ClientException) as error:
            # When Heat shows a resource, it replaces errors with null and logs nothing.
            LOG.warning("attribute %s of %s cannot be read: %s", name, self, message(error))
            raise exception.Error(message(error)) from error
        except Exception:
            LOG.exception("attribute %s of %s cannot be read", name, self)
            raise

    def get_attribute(self, key: str, *path: str | int) -> Any:
        """Return an attribute or a part of it; a null value is logged."""
        value = super().get_attribute(key, *path)
        if value is None:
            LOG.info("attribute %s of %s is null", ".".join(map(str, (key, *path))), self)
        return value

    def referenced_attrs(self, *args: Any, **kwargs: Any) -> set[Any]:
        """Return the attributes that the template references and that exist.

        For a resource with its own :meth:`get_attribute`, Heat assumes that any attribute may exist.
        """
        used = super().referenced_attrs(*args, **kwargs)
        return {
            attribute
            for attribute in used
            if (attribute if isinstance(attribute, str) else attribute[0]) in self.attributes
        }
