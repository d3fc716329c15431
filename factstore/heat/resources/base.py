"""The base class of all resource types."""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Collection, Iterator, Sequence
from typing import Any, ClassVar

from heat.common import exception
from heat.engine import attributes, resource, support
from keystoneauth1.exceptions import ClientException
from oslo_log import log as logging

from factstore.client import Client, FactstoreError, errors
from factstore.heat.client_plugin import CLIENT_NAME
from factstore.heat.errors import message, translated

LOG = logging.getLogger(__name__)

_HANDED_OUT = "handed_out"

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

    Attributes that templates put into user data are worked out once and then stored with the resource.
    If they changed with the catalog, with a release or with an option of Heat, the next update of the
    stack would replace its servers.
    """

    HANDED_OUT: ClassVar[Collection[str]] = ()
    """The attributes that are worked out once."""

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

    def hand_out(self) -> None:
        """Work out and store the attributes that stay as they are, as far as that is possible now."""
        for name in self.HANDED_OUT:
            try:
                self._handed_out(name)
            except exception.Error as error:
                LOG.warning("attribute %s of %s has no value yet: %s", name, self, error)

    def forget_handed_out(self) -> None:
        """Have the attributes worked out again."""
        self.data_delete(_HANDED_OUT)

    def _handed_out(self, name: str) -> Any:
        stored = self.data().get(_HANDED_OUT)
        known = json.loads(zlib.decompress(base64.b85decode(stored))) if stored else {}
        if name not in known:
            value = self.attribute_value(name)
            if value is None:
                return None
            # A column of Heat's database holds 64 KiB, and encryption makes a value longer.
            known[name] = value
            compressed = zlib.compress(json.dumps(known).encode(), 9)
            self.data_set(_HANDED_OUT, base64.b85encode(compressed).decode(), redact=True)
        return known[name]

    # Heat's hooks

    def handle_delete(self) -> Any:
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
                if name in self.HANDED_OUT:
                    return self._handed_out(name)
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
