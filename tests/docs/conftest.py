"""Fixtures of the tests of the how-to guides."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.http import fresh_stack
from tests.service import ApiServer


@pytest.fixture
def stack(one_worker: ApiServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Return the URL of a stack that does not exist yet.

    Scripts, some of which write files, run outside the checkout.
    """
    monkeypatch.chdir(tmp_path)
    return f"{one_worker.url}/v1/stacks/{fresh_stack()}"
