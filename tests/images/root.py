"""Root file systems of distributions, as their cloud images are, made once and kept."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from tests.zipapp import ROOT

CACHE = Path(os.environ.get("FACTSTORE_IMAGES") or ROOT / ".images")
CLOUD_IMAGE = ("systemd-sysv", "udev", "ca-certificates", "iproute2", "cloud-init")
"""The packages of a cloud image that its first boot uses; cloud-init brings python3."""

_TEMPORARY = ("TMPDIR", "TEMP", "TMP")
_CLOUD_INIT = """\
datasource_list: [NoCloud]
locale: C.UTF-8
"""


@dataclass(frozen=True)
class Distribution:
    """A release of Debian.

    :param python: the version of its python3.
    :param packages: more than a minimal installation contains.
    """

    suite: str
    python: str
    packages: tuple[str, ...] = ("python3",)

    def root(self) -> Path:
        """Return the root file system, made on the first call.  It must not be changed."""
        place = CACHE / self.suite
        made, recipe = CACHE / f"{self.suite}.made", " ".join(self.packages)
        if not made.exists() or made.read_text() != recipe:
            shutil.rmtree(place, ignore_errors=True)
            CACHE.mkdir(exist_ok=True)
            self._make(place)
            made.write_text(recipe)
        return place

    def _make(self, place: Path) -> None:
        _call("debootstrap", "--variant=minbase", self.suite, place)
        # debootstrap itself cannot configure all packages that cloud-init needs.
        install = ["apt-get", "-qq", "install", "-y", "--no-install-recommends", *self.packages]
        _call("chroot", place, "env", "DEBIAN_FRONTEND=noninteractive", *install)
        _call("chroot", place, "apt-get", "clean")
        # Each instance gets its own. debootstrap copies the name of this machine.
        (place / "etc" / "machine-id").write_text("")
        (place / "etc" / "hostname").unlink(missing_ok=True)
        cloud = place / "etc" / "cloud" / "cloud.cfg.d"
        if cloud.exists():
            (cloud / "90_image.cfg").write_text(_CLOUD_INIT)


OLDEST = Distribution("bullseye", "3.9", CLOUD_IMAGE)
DEBIAN_12 = Distribution("bookworm", "3.11", CLOUD_IMAGE)
NEWER = (Distribution("trixie", "3.13"), Distribution("sid", "3.14"))
"""Distributions whose systemd does not start in a container on each kernel; only their Python runs."""


def _call(*command: object) -> None:
    # A directory for temporary files need not exist in the root file system.
    kept = {name: text for name, text in os.environ.items() if name not in _TEMPORARY}
    done = subprocess.run(
        [str(word) for word in command],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        env={**kept, "PATH": f"{os.environ['PATH']}:/usr/sbin:/sbin"},
    )
    assert done.returncode == 0, f"{command}: {(done.stdout + done.stderr)[-3000:]}"
