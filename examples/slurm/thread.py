"""A node of the cluster that is no process: what an agent does, with the client alone.

It shows how little there is to it, and lets hundreds of nodes live in one process.  An agent does more:
it keeps what it knows on disk, runs on a grant, and survives whatever happens.
"""

from __future__ import annotations

import hashlib
import threading
from pathlib import Path

from machine import group_of

from factstore.agent.apply import templates
from factstore.client import Context, Put, Stack
from factstore.client.errors import Conflict, NotFound, OutcomeUnknown, Unavailable

BEATS = 3  # heartbeats in a ttl
PATIENCE = 50  # seconds that a question to the service may take
_TEMPLATES = Path(__file__).with_name("etc") / "templates"
_TEMPLATE = templates.environment(_TEMPLATES).get_template("slurm.conf.j2")
_KEPT = 4  # texts, of the newest revisions


class Texts:
    """What the template makes of a stack, once for all nodes of this process: each has the same.

    Machines have a processor each; these share one, and it is not their rendering that is looked at.
    """

    def __init__(self) -> None:
        self._made: dict[str, str] = {}
        self._lock = threading.Lock()

    def of(self, context: Context) -> str:
        """The slurm.conf of a context."""
        with self._lock:
            text = self._made.get(context.cursor)
            if text is None:
                text = _TEMPLATE.render(templates.variables(context.document))
                self._made[context.cursor] = text
                while len(self._made) > _KEPT:
                    del self._made[next(iter(self._made))]
            return text


class Node:
    """One node, and its part of the cluster.

    :param facts: what it tells about itself, by the last segment of the path.
    :param texts: shared by all nodes of the stack.
    :param conf: its slurm.conf.
    :param settle: seconds of quiet for which it waits.
    :param ttl: seconds of silence after which it counts as dead.
    :ivar renders: how often it wrote its file.
    """

    def __init__(
        self,
        stack: Stack,
        name: str,
        facts: dict[str, object],
        *,
        texts: Texts,
        conf: Path,
        settle: float,
        ttl: int,
    ) -> None:
        self._stack = stack
        self._name = name
        self._facts = facts
        self._texts = texts
        self._conf = conf
        self._settle = settle
        self._ttl = ttl
        self._daemon = "slurmctld" if group_of(name) == "head" else "slurmd"
        self._member = stack.member(name)
        self._joining = threading.Lock()
        self._stopped = threading.Event()
        self._text: str | None = None
        self._cursor: str | None = None
        self.renders = 0

    def run(self) -> None:
        """Join, then converge whenever something changes; ends with the stack."""
        self._join()
        heart = threading.Thread(target=self._beat, name=f"{self._name} heart")
        heart.start()
        try:
            self._follow()
        finally:
            self._stopped.set()
            heart.join()

    def _join(self) -> None:
        """Be a member, and tell what others need to know: it goes when this node does."""
        with self._joining:
            while True:
                try:
                    self._member.join(group_of(self._name), ttl=self._ttl)
                    self._text = None  # what it told went with the one it was: tell it again
                    # In one batch: nobody ever sees half a node.
                    self._stack.batch(
                        [
                            self._own(f"nodes/{self._name}/{at}", it)
                            for at, it in self._facts.items()
                        ]
                    )
                    return
                except Conflict:  # too late: it counts as dead
                    self._member.generation = None
                except (Unavailable, OutcomeUnknown):
                    continue

    def _own(self, path: str, value: object) -> Put:
        """A fact that goes with this node, and that only this incarnation of it may write."""
        return Put(path, value, member=self._name, generation=self._member.generation)

    def _beat(self) -> None:
        """Say that this node lives, and how far it has come."""
        while not self._stopped.wait(self._ttl / BEATS):
            try:
                self._tell_applied()
            except (Unavailable, OutcomeUnknown):
                continue

    def _tell_applied(self) -> None:
        try:
            self._member.heartbeat(applied=self._cursor)
        except (NotFound, Conflict):
            if not self._gone():
                self._join()

    def _gone(self) -> bool:
        """Whether the stack is."""
        try:
            self._stack.describe()
        except NotFound:
            self._stopped.set()
        return self._stopped.is_set()

    def _follow(self) -> None:
        etag: str | None = None
        while not self._stopped.is_set():
            try:
                context = self._read(etag)
                if context is not None:
                    self._converge(context)
                    etag = context.etag
            except (Unavailable, OutcomeUnknown):  # perhaps told, and told once more
                etag = self._text = None
            except NotFound:  # the stack went, or only this member
                if not self._gone():
                    self._join()

    def _read(self, etag: str | None) -> Context | None:
        """The context when it is another than is known, and quiet."""
        if etag is None:
            return self._stack.context(member=self._name)
        return self._stack.context(
            member=self._name, if_none_match=etag, wait=PATIENCE, settle=self._settle
        )

    def _converge(self, context: Context) -> None:
        """Bring this node in line with a context; does nothing where that is so already."""
        text = self._texts.of(context)
        if "\nSlurmctldHost=" not in text:
            return
        if text != self._text:
            self._conf.write_text(text)
            self.renders += 1
            self._text = text
            self._tell(text)
        # Whatever else has changed is applied as well: nothing was to be done for it.
        self._cursor = context.cursor
        self._tell_applied()

    def _tell(self, text: str) -> None:
        """Post what this node has done; not once it was removed, for that would bring it back."""
        digest = hashlib.sha256(text.encode()).hexdigest()
        done = [
            self._own(f"nodes/{self._name}/services/{self._daemon}", "started"),
            self._own(f"results/{self._name}/slurm.conf", digest),
        ]
        try:
            self._stack.batch(done)
            self._member.ready()
        except (NotFound, Conflict):
            if not self._gone():
                self._join()
