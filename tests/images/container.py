"""Containers with a systemd of their own, in the network of this machine."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import uuid
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.eventually import eventually

BOOT_SECONDS = 120


class Container:
    """A booted root file system; what it writes is discarded.  A context manager.

    :param user_data: what cloud-init is given; None for a boot without cloud-init.
    :param vendor_data: the vendor data that cloud-init is given in addition.
    """

    def __init__(
        self,
        root: Path,
        name: str,
        directory: Path,
        *,
        user_data: str | None = None,
        vendor_data: str = "",
    ) -> None:
        self._root = root
        self._name = name
        self._directory = directory
        self._user_data = user_data
        self._vendor_data = vendor_data
        self._process: subprocess.Popen[bytes] | None = None
        self._leader = 0

    def run(self, *command: str, check: bool = True) -> str:
        """Run a command in the container, with the environment of a system service."""
        done = subprocess.run(
            [
                *("nsenter", "--target", str(self._leader), "--all"),
                *("env", "-i", "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin"),
                *command,
            ],
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        output = done.stdout + done.stderr
        assert done.returncode == 0 or not check, f"{command}: {output}\n{self.journal()}"
        return output

    def write(self, name: str, content: bytes) -> None:
        """Write a file in the container."""
        target = ["nsenter", "--target", str(self._leader), "--all"]
        command = [*target, "dd", "status=none", f"of={name}"]
        subprocess.run(command, input=content, check=True, timeout=60)

    def journal(self) -> str:
        """Return the log of cloud-init and of the agent."""
        return self.run("journalctl", "--no-pager", "-o", "cat", "-n", "200", check=False)

    def wait(self, condition: Callable[[], object], within: float = 60.0) -> None:
        """Wait until *condition* holds; if it does not, fail with the log of the container."""
        try:
            eventually(condition, within, 0.2)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.journal()}") from None

    def __enter__(self) -> Self:
        options = [f"--hostname={self._name}", f"--uuid={uuid.uuid4()}", f"--machine={self._name}"]
        if self._user_data is None:
            (self._directory / "off").touch()
            options.append(f"--bind-ro={self._directory}/off:/etc/cloud/cloud-init.disabled")
        else:
            seed = self._directory / "seed"
            seed.mkdir()
            (seed / "user-data").write_text(self._user_data)
            (seed / "vendor-data").write_text(self._vendor_data)
            (seed / "meta-data").write_text(
                f"instance-id: i-{self._name}\nlocal-hostname: {self._name}\n"
            )
            options.append(f"--bind-ro={seed}:/var/lib/cloud/seed/nocloud")
        with (self._directory / "console").open("wb") as console:
            self._process = subprocess.Popen(
                [
                    *("systemd-nspawn", "--quiet", "--boot", "--console=pipe", "--register=no"),
                    *("--keep-unit", "--volatile=overlay", f"--directory={self._root}", *options),
                ],
                stdin=subprocess.DEVNULL,
                stdout=console,
                stderr=console,
                start_new_session=True,
            )
        try:
            eventually(self._booted, BOOT_SECONDS)
        except BaseException:
            self._kill()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._kill()

    def _booted(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, (self._directory / "console").read_text()
        children = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children").read_text()
        if not children.split():
            return False
        self._leader = int(children.split()[0])
        state = self.run("systemctl", "is-system-running", check=False).strip()
        return state in ("running", "degraded")

    def _kill(self) -> None:
        if self._leader:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._leader, signal.SIGKILL)  # the kernel ends all others with it
        if self._process is not None:
            self._process.terminate()
            self._process.wait(30)
