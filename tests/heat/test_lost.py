"""A data bag whose creation is disturbed between Heat and factstore."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from urllib.parse import urlsplit

import pytest

from factstore.client import Client, errors
from factstore.cmd.processes.ports import LOOPBACK
from tests.heat.lab.catalogue import Catalogue
from tests.heat.lab.orchestration import Orchestration, StackFailed
from tests.service import ApiServer

BAG = {
    "heat_template_version": "2021-04-16",
    "resources": {
        "bag": {"type": "OS::FactStore::DataBag", "properties": {"parameters": {"a": 1}}}
    },
}


@contextmanager
def interfering(url: str, line: bytes, before: Callable[[], object] | None = None) -> Iterator[str]:
    """Yield the URL of a proxy that forwards all requests except the first that begins with a text.

    :param before: called before that request is forwarded. Without it, the response is lost.
    """
    met = threading.Event()
    doomed: set[socket.socket] = set()
    where = urlsplit(url)
    listener = socket.create_server((LOOPBACK, 0))

    def serve(client: socket.socket) -> None:
        server = socket.create_connection((where.hostname, where.port))
        threading.Thread(target=answer, args=(client, server), daemon=True).start()
        with suppress(OSError):
            while request := client.recv(1 << 16):
                if request.startswith(line) and not met.is_set():
                    met.set()
                    if before is None:
                        doomed.add(server)
                    else:
                        before()
                server.sendall(request)
        server.close()

    def answer(client: socket.socket, server: socket.socket) -> None:
        with suppress(OSError):
            while (piece := server.recv(1 << 16)) and server not in doomed:
                client.sendall(piece)
        with suppress(OSError):
            client.shutdown(socket.SHUT_RDWR)
        client.close()

    def accept() -> None:
        with suppress(OSError):
            while True:
                client, _ = listener.accept()
                threading.Thread(target=serve, args=(client,), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    yield f"http://{LOOPBACK}:{listener.getsockname()[1]}"
    listener.close()


@pytest.mark.parametrize("then", ["update", "delete"])
def test_a_bag_whose_creation_was_not_confirmed_belongs_to_its_stack(
    then: str,
    owner: Orchestration,
    service: ApiServer,
    catalogue: Catalogue,
    facts: Client,
    name: str,
) -> None:
    with interfering(service.url, f"PUT /v1/stacks/{name} ".encode()) as url:
        catalogue.point("public", url)
        with pytest.raises(StackFailed, match="did not confirm the write"):
            owner.create(name, BAG)
        assert facts.stack(name).describe()
        if then == "update":
            owner.update(name, BAG)
            assert facts.stack(name).get("a").value == 1
        owner.delete(name)
    with pytest.raises(errors.NotFound):
        facts.stack(name).describe()


def test_a_fact_space_that_is_created_between_check_and_creation_stays_the_others(
    owner: Orchestration, service: ApiServer, catalogue: Catalogue, facts: Client, name: str
) -> None:
    space = facts.stack(name)
    line = f"PUT /v1/stacks/{name} ".encode()
    with interfering(service.url, line, lambda: space.put("somebody", "else's")) as url:
        catalogue.point("public", url)
        with pytest.raises(StackFailed, match=f"factstore already has a stack named {name}"):
            owner.create(name, BAG)
        owner.delete(name)
    assert [fact.value for fact in space.snapshot().facts] == ["else's"]
    space.delete_stack()
