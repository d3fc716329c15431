"""A node of the cluster: the work of an agent with the client library only.

It shows the essential steps, and lets hundreds of nodes run in one process.  A real agent does more: it
stores its state on disk, uses a grant, and survives restarts and failures.
"""

from __future__ import annotations

import hashlib
import threading
import time
from pathlib import Path
from typing import NamedTuple

from machine import group_of

from factstore.agent.apply import templates
from factstore.agent.apply.recording import Recorder
from factstore.agent.config.reads import Reads
from factstore.client import Context, Put, Stack
from factstore.client.errors import Conflict, NotFound, OutcomeUnknown, Unavailable

BEATS = 3  # heartbeats in each ttl
COMMON, RARE = "max_minutes", "licenses"
READERS = ["c1", "c2", "c3"]
"""The template reads the fact COMMON.  Only these nodes read the fact RARE."""
_TEMPLATES = Path(__file__).with_name("etc") / "templates"
_TEMPLATE = templates.make_environment(_TEMPLATES).get_template("slurm.conf.j2")
_CACHED = 4  # texts, of the newest revisions


class Rendered(NamedTuple):
    """A slurm.conf, and what the template has read."""

    text: str
    reads: Reads


class Files:
    """Rendered templates, shared by all nodes of this process.

    Real nodes have processors of their own.  These share one, and rendering is not to be measured.
    """

    def __init__(self) -> None:
        self._made: dict[str, Rendered] = {}
        self._lock = threading.Lock()

    def render(self, context: Context) -> Rendered:
        """Return the slurm.conf for a context."""
        with self._lock:
            found = self._made.get(context.etag)
            if found is None:
                recorder = Recorder()
                text = _TEMPLATE.render(templates.variables(context.document, recorder))
                found = self._made[context.etag] = Rendered(text, recorder.reads().reduced())
                while len(self._made) > _CACHED:
                    del self._made[next(iter(self._made))]
            return found


class Node:
    """One node of the cluster.

    :param facts: facts to publish, by the last segment of their path.
    :param files: rendered templates, shared by all nodes of the stack.
    :param conf: path of its slurm.conf.
    :param reads: facts that it reads, in addition to those that the template reads.
    :param settle: seconds without a change after which it acts.
    :param patience: seconds for which a request may wait for a change.
    :param ttl: seconds without a heartbeat after which its member expires.
    :ivar renders: number of times that it wrote its file.
    :ivar woken: number of responses with a changed context.
    :ivar revision: the revision of the stack of which it has a copy.
    """

    def __init__(
        self,
        stack: Stack,
        name: str,
        facts: dict[str, object],
        *,
        files: Files,
        conf: Path,
        reads: Reads,
        settle: float,
        patience: float,
        ttl: int,
    ) -> None:
        self._stack = stack
        self._name = name
        self._facts = facts
        self._files = files
        self._conf = conf
        self._extra_reads = reads
        self._settle = settle
        self._patience = patience
        self._ttl = ttl
        self._daemon = "slurmctld" if group_of(name) == "head" else "slurmd"
        self._member = stack.member(name)
        self._joining = threading.Lock()
        self._stopped = threading.Event()
        self._text: str | None = None
        self._reads: Reads | None = None
        self._read_set = ""  # its digest
        self._cursor: str | None = None
        self._ready = False
        self.renders = self.woken = self.revision = 0

    def run(self) -> None:
        """Join, then converge after each change until the stack is deleted."""
        self._join()
        heart = threading.Thread(target=self._beat, name=f"{self._name} heart")
        heart.start()
        try:
            self._follow()
        finally:
            self._stopped.set()
            heart.join()

    def _join(self) -> None:
        """Join, and publish the facts, bound to the member."""
        with self._joining:
            while True:
                try:
                    self._member.join(group_of(self._name), ttl=self._ttl)
                    self._text = self._cursor = None  # a new incarnation has no facts yet
                    self._ready = False
                    self._reads, self._read_set = None, ""
                    # One batch, so that no reader sees half a node.
                    self._stack.batch(
                        [
                            self._own(f"nodes/{self._name}/{at}", it)
                            for at, it in self._facts.items()
                        ]
                    )
                    return
                except Conflict:  # the member has expired
                    self._member.generation = None
                except (Unavailable, OutcomeUnknown):
                    continue

    def _own(self, path: str, value: object) -> Put:
        """Return a put of a fact that is bound to the member and fenced by its generation."""
        return Put(path, value, member=self._name, generation=self._member.generation)

    def _beat(self) -> None:
        """Send heartbeats with the cursor that was applied last."""
        while not self._stopped.wait(self._ttl / BEATS):
            try:
                self._member.heartbeat(applied=self._cursor)
            except (Unavailable, OutcomeUnknown):
                continue
            except (NotFound, Conflict):
                if not self._stack_deleted():
                    self._join()

    def _stack_deleted(self) -> bool:
        """Return True, and stop, if the stack was deleted."""
        try:
            self._stack.describe()
        except NotFound:
            self._stopped.set()
        return self._stopped.is_set()

    def _follow(self) -> None:
        # The others are joining, too: a first look at once would show a part of the cluster.
        mirror = self._stack.mirror(
            member=self._name, view="none", settle=self._settle, first_settles=True
        )
        while not self._stopped.is_set():
            known, began, renders = mirror.context, time.monotonic(), self.renders
            try:
                context = mirror.update(
                    self._patience,
                    self._read_set,
                    applied=self._cursor,  # this report needs no request of its own
                    generation=self._member.generation,
                )
                self.revision = int(context.cursor.partition(".")[2])
                # After its whole time, a request also returns what does not concern the member.
                early = time.monotonic() - began < self._patience
                differs = known is None or known.etag != context.etag
                acts = differs or self._text is None
                if acts and not self._converge(context):
                    continue
                # Counted first: the program reads the counters once all have reported.
                self.woken += differs and (early or self.renders > renders)
                self._cursor = context.cursor
            except (Unavailable, OutcomeUnknown):  # the outcome is unknown: publish again
                self._text = None
            except (NotFound, Conflict):  # the stack was deleted, or this member expired
                if not self._stack_deleted():
                    self._join()

    def _converge(self, context: Context) -> bool:
        """Apply a context; write the file only if its text changes.

        Return False if the head has not joined yet.
        """
        text, reads = self._files.render(context)
        if "\nSlurmctldHost=" not in text:
            return False
        reads |= self._extra_reads
        if reads != self._reads:
            # From now on, only changes of what the template reads concern the member.
            self._read_set = self._member.store_read_set(
                reads.facts, members=reads.members, groups=reads.groups
            )
            self._reads = reads
        if text != self._text:
            self._conf.write_text(text)
            self.renders += 1
            self._text = text
            self._publish(text)
        return True

    def _publish(self, text: str) -> None:
        """Publish the result, unless the member has been removed: that would create it again."""
        digest = hashlib.sha256(text.encode()).hexdigest()
        puts = [
            self._own(f"nodes/{self._name}/services/{self._daemon}", "started"),
            self._own(f"results/{self._name}/slurm.conf", digest),
        ]
        try:
            self._stack.batch(puts)
            if not self._ready:
                self._member.ready()
                self._ready = True
        except (NotFound, Conflict):
            if not self._stack_deleted():
                self._join()
