"""The proxy: the calls of the Python client under the names that openstacksdk uses.

It sends requests with the token of its connection.  The results are the records of
:mod:`factstore.client`, and so are the errors, apart from those of the methods ``wait_for_*``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cached_property
from typing import Any

from openstack import exceptions, proxy

from factstore.client import (
    Client,
    Convergence,
    Fact,
    NotFound,
    Stack,
    StackRecord,
    StacksWatch,
    SubscriptionRecord,
    WaiterRecord,
    WaitTimeout,
    Watch,
)

TIMEOUT = 600.0  # seconds


class Proxy(proxy.Proxy):
    """The service as an attribute of a connection."""

    # The client needs no other URL than that in the catalog.
    skip_discovery = True

    @cached_property
    def client(self) -> Client:
        """The client for the cloud of the connection."""
        return Client(
            self.session,
            interface=self.interface,
            region_name=self.region_name,
            endpoint_override=self.endpoint_override,
        )

    def stack(self, name: str) -> Stack:
        """Return a stack with all of its calls.  No request is sent, and it need not exist."""
        return self.client.stack(name)

    def stacks(self, *, project_id: str | None = None) -> Iterator[StackRecord]:
        """Iterate over the stacks of the project.

        :param project_id: the id of another project, for administrators.
        """
        return self.client.stacks(project_id=project_id)

    def subscriptions(self, *, project_id: str | None = None) -> Iterator[SubscriptionRecord]:
        """Iterate over the subscriptions of the project.

        :param project_id: the id of another project, for administrators.
        """
        return self.client.subscriptions(project_id=project_id)

    def create_subscription(self, target: str, **definition: Any) -> SubscriptionRecord:
        """Register a listener, and return the subscription with its secret.

        :param definition: that of :meth:`factstore.client.Client.subscribe`.
        """
        return self.client.subscribe(target, **definition)

    def get_subscription(self, subscription: str) -> SubscriptionRecord:
        """Return a subscription by its id.

        :raises factstore.client.NotFound: it does not exist.
        """
        return self.client.subscription(subscription).show()

    def delete_subscription(self, subscription: str, *, ignore_missing: bool = True) -> None:
        """Delete a subscription; nothing is delivered afterwards.

        :param ignore_missing: do not fail if it does not exist.
        """
        if not ignore_missing:
            self.get_subscription(subscription)
        self.client.subscription(subscription).delete()

    def facts(self, stack: str, prefix: str = "") -> Iterator[Fact]:
        """Iterate over the facts of a stack at one revision.

        :param prefix: only facts at or below this path.
        """
        return iter(self.stack(stack).snapshot(prefix).facts)

    def get_fact(self, stack: str, path: str) -> Fact:
        """Return a fact.

        :raises factstore.client.NotFound: the fact does not exist.
        """
        return self.stack(stack).get(path)

    def set_fact(self, stack: str, path: str, value: Any, **options: Any) -> Fact:
        """Store a fact and return it.

        :param options: those of :meth:`factstore.client.Stack.put`.
        """
        return self.stack(stack).put(path, value, **options)

    def delete_fact(self, stack: str, path: str, *, ignore_missing: bool = True) -> None:
        """Delete a fact.

        :raises factstore.client.NotFound: the fact does not exist and *ignore_missing* is false.
        """
        try:
            self.stack(stack).delete(path)
        except NotFound:
            if not ignore_missing:
                raise

    def wait_for_fact(self, stack: str, path: str, *, timeout: float = TIMEOUT) -> Fact:
        """Wait until a fact exists, and return it.

        :raises openstack.exceptions.ResourceTimeout: the fact does not exist after *timeout* seconds.
        """
        try:
            return self.stack(stack).wait(path, timeout)
        except WaitTimeout as error:
            raise exceptions.ResourceTimeout(str(error)) from error

    def wait_for_waiter(
        self,
        stack: str,
        waiter: str,
        *,
        timeout: float = TIMEOUT,
        on_progress: Callable[[WaiterRecord], object] = lambda record: None,
    ) -> WaiterRecord:
        """Wait until a waiter is met, and return it.

        :raises openstack.exceptions.ResourceTimeout: the waiter timed out, or is still pending after
            *timeout* seconds.
        :raises openstack.exceptions.ResourceFailure: the waiter failed.
        """
        ended = self.stack(stack).waiter(waiter).wait(timeout, on_progress=on_progress)
        if ended.state == "met":
            return ended
        if ended.state == "failed":
            raise exceptions.ResourceFailure(f"Waiter {waiter!r} failed: {ended.reason}")
        missing = ", ".join(ended.missing)
        raise exceptions.ResourceTimeout(f"Waiter {waiter!r} was not met; missing: {missing}")

    def wait_for_convergence(
        self,
        stack: str,
        *,
        group: str | None = None,
        timeout: float = TIMEOUT,
        on_progress: Callable[[Convergence], object] = lambda convergence: None,
    ) -> Convergence:
        """Wait until all members, or those of a group, have applied the newest change.

        :raises openstack.exceptions.ResourceTimeout: some have not after *timeout* seconds.
        """
        found = self.stack(stack).wait_converged(timeout, group=group, on_progress=on_progress)
        if not found.converged:
            raise exceptions.ResourceTimeout(
                f"Stack {stack!r} did not converge; lagging: {', '.join(found.lagging)}"
            )
        return found

    def watch(self, stack: str, **options: Any) -> Watch:
        """Return an iterator over the changes of a stack.

        :param options: those of :meth:`factstore.client.Stack.watch`.
        """
        return self.stack(stack).watch(**options)

    def watch_stacks(self, *stacks: str, **options: Any) -> StacksWatch:
        """Return an iterator over the changes of many stacks.

        :param stacks: their names, with ``*`` for any characters and ``?`` for one.
        :param options: those of :meth:`factstore.client.Client.watch`.
        """
        return self.client.watch(stacks, **options)
