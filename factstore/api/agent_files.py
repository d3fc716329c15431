"""The agent's files that the service offers: that of its own release, and those it offered before.

User data contain the sha256 of the file that they fetch, and a scaling group creates instances from
the same user data for years.  Therefore each service copies its own file into a directory, under a name
with the sha256, and offers every file there.  Files in the directory are never removed here.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import re
import shutil
import uuid
from functools import lru_cache
from pathlib import Path

from factstore.core.errors import NotFound
from factstore.core.model.quick_dataclass import quick_dataclass

LOG = logging.getLogger(__name__)

OWN = Path(__file__).with_name("files") / "factstore-agent.pyz"
"""The file of this release, which is made when the package is built."""
SHA256_PATTERN = "[0-9a-f]{64}"

_NAME = re.compile(rf"factstore-agent-(?P<version>[^-/]+)-(?P<sha256>{SHA256_PATTERN})\.pyz")


@quick_dataclass(frozen=True, slots=True)
class AgentFile:
    """One release of the agent."""

    path: Path
    version: str
    sha256: str
    size: int


class AgentFiles:
    """The agent's files by their sha256.

    :param version: the version of this release.
    :param directory: contains the files that were offered before; None to offer only the own file.
    :param own: the file of this release; None to offer no file at all.
    """

    def __init__(
        self, version: str = "unknown", directory: Path | None = None, own: Path | None = OWN
    ) -> None:
        self._version = version
        self._directory = directory
        self._own = own

    @property
    def offered(self) -> bool:
        """Return whether the operator lets the service offer the agent."""
        return self._own is not None

    def find(self, sha256: str | None) -> AgentFile:
        """Return a file, by default that of this release.

        :raises NotFound: there is no such file, or none is offered.
        """
        if self._own is None:
            raise NotFound(
                "This service does not offer the agent: its operator has set [api] agent = false. "
                "Install the agent from another place."
            )
        own = self._own_file()
        if own is not None and sha256 in (None, own.sha256):
            return own
        if sha256 is None:
            raise NotFound(
                "This service has no agent to offer: the file was not made when the service was "
                "installed. Ask the operator to run 'make agent' in the source or to install the "
                "service from a wheel, and to restart it."
            )
        kept = self._kept_file(sha256)
        if kept is None:
            has = (
                f"It offers {own.sha256}"
                if own is not None
                else "It has no file of its own release"
            )
            raise NotFound(
                f"This service has no agent with the sha256 {sha256}. {has}. Ask the operator to copy "
                "the file of the earlier release into the directory that [api] agent_directory names, "
                "or use new user data."
            )
        return kept

    def keep(self) -> None:
        """Copy the own file into the directory, unless it is there or the directory does not exist."""
        own, directory = self._own_file(), self._directory
        if own is None and self._own is not None:
            LOG.warning(
                "the agent is not offered to instances, because %s does not exist. Run 'make agent' in "
                "the source, or install the service from a wheel; or set [api] agent = false.",
                self._own,
            )
        if own is None or directory is None:
            return
        try:
            self._keep(own, directory)
        except OSError as error:
            LOG.warning(
                "the agent could not be kept in %s for later releases: %s", directory, error
            )

    def _keep(self, own: AgentFile, directory: Path) -> None:
        if not directory.is_dir() or self._kept_file(own.sha256):
            return
        name = f"factstore-agent-{own.version.replace('-', '_')}-{own.sha256}.pyz"
        partial = directory / f".{name}.{uuid.uuid4().hex}"  # workers of several hosts may write it
        try:
            shutil.copyfile(own.path, partial)
            partial.chmod(0o644)
            partial.replace(directory / name)
        except OSError:
            with contextlib.suppress(OSError):
                partial.unlink()
            raise

    def _own_file(self) -> AgentFile | None:
        if self._own is None:
            return None
        try:
            return _read(self._own, self._version)
        except OSError:
            return None

    def _kept_file(self, sha256: str) -> AgentFile | None:
        if self._directory is None:
            return None
        try:
            paths = list(self._directory.glob(f"*-{sha256}.pyz"))
        except OSError as error:
            LOG.error("%s is not used: %s", self._directory, error.strerror)
            return None
        for path in paths:
            match = _NAME.fullmatch(path.name)
            try:
                found = _read(path, match["version"]) if match else None
            except OSError as error:
                LOG.error("%s is not used: %s", path, error.strerror)
                continue
            if found is not None and found.sha256 == sha256:
                return found
            LOG.error("%s is not used: its content does not have the sha256 in its name", path)
        return None


def _read(path: Path, version: str) -> AgentFile:
    status = path.stat()
    return AgentFile(path, version, _sha256(path, status.st_mtime_ns), status.st_size)


@lru_cache(32)
def _sha256(path: Path, changed: int) -> str:
    """Return the sha256 of a file, which is read again when it was changed."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
