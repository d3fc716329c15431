"""What all resources have in common."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from heat.common import exception
from heat.engine import resource, support
from keystoneauth1.exceptions import ClientException
from oslo_log import log as logging

from factstore.client import Client, FactstoreError
from factstore.heat.client_plugin import CLIENT_NAME
from factstore.heat.errors import sentence, spoken

LOG = logging.getLogger(__name__)

SINCE = support.SupportStatus(version="factstore 0.1")


class FactstoreResource(resource.Resource):
    """A resource of factstore.

    Its handlers let errors of the client and of keystoneauth through; they reach the user as
    sentences, from here.  A subclass has :meth:`live` for its attributes, whose schemas say
    ``CACHE_NONE``, and :meth:`remove`.
    """

    default_client_name = CLIENT_NAME
    support_status = SINCE

    # A check that failed for want of an answer is no reason to replace anything.
    always_replace_on_check_failed = False

    def live(self, name: str) -> Any:
        """The value of an attribute now; only asked of what has a physical resource id."""
        raise NotImplementedError

    def remove(self) -> None:
        """Delete what stands behind the physical resource id; NotFound means that it is gone."""
        raise NotImplementedError

    def exists(self) -> bool:
        """Whether what stands behind the physical resource id is there, and still its own."""
        raise NotImplementedError

    @property
    def factstore(self) -> Client:
        """The client, as the user or the stack's trust."""
        client: Client = self.client()
        return client

    # Heat's hooks

    def handle_delete(self) -> None:
        """Delete it; what never came to be or is gone is no error."""
        if self.resource_id is not None:
            with self.client_plugin().ignore_not_found:
                self.remove()

    def handle_check(self) -> None:
        """Fail when it is gone."""
        if self.resource_id is None or not self.exists():
            raise exception.Error(f"{self.resource_id or self.name} does not exist any more.")

    def needs_replace_failed(self) -> bool:
        """One that failed is mended in place, if it is there to be mended."""
        if self.resource_id is None:
            return True
        with spoken(), self.frozen_properties():
            return not self.exists()

    def action_handler_task(
        self, action: str, args: Sequence[Any] | None = None, action_prefix: str | None = None
    ) -> Iterator[Any]:
        """All handlers and polls pass here."""
        with spoken():
            yield from super().action_handler_task(action, args, action_prefix)

    def _needs_update(self, *args: Any, **kwargs: Any) -> bool:
        # A failed update may have done half of its work; what it goes back to is done in full.
        return bool(super()._needs_update(*args, **kwargs)) or self.status == self.FAILED

    def _resolve_attribute(self, name: str) -> Any:
        if self.resource_id is None:
            return None  # which get_attribute tells
        try:
            # Heat may know nothing here of the resources that properties come from.
            with self.frozen_properties():
                return self.live(name)
        except (FactstoreError, ClientException) as error:
            # Where Heat shows a resource it makes null of an error, and says nothing.
            LOG.warning("attribute %s of %s cannot be read: %s", name, self, sentence(error))
            raise exception.Error(sentence(error)) from error
        except Exception:
            LOG.exception("attribute %s of %s cannot be read", name, self)
            raise

    def get_attribute(self, key: str, *path: str | int) -> Any:
        """An attribute, or a part of it; one that is null leaves a line in the log."""
        value = super().get_attribute(key, *path)
        if value is None:
            LOG.info("attribute %s of %s is null", ".".join(map(str, (key, *path))), self)
        return value

    def referenced_attrs(self, *args: Any, **kwargs: Any) -> set[Any]:
        """The attributes that the template uses, of those that there are.

        Of a resource with a :meth:`get_attribute` of its own Heat believes that it has any.
        """
        used = super().referenced_attrs(*args, **kwargs)
        return {
            attribute
            for attribute in used
            if (attribute if isinstance(attribute, str) else attribute[0]) in self.attributes
        }
