"""heat-agents' hook for Puppet, with the real Puppet; ``make test-hooks`` runs it."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from factstore.client import Stack
from tests.agent.conftest import Make
from tests.agent.test_real_hooks import DEPLOY, ended, start

MANIFEST = """\
file { "${facts['heat_outputs_path']}.url": content => "http://${facts['address']}/" }
notice("deploying with ${facts['deploy_action']}")
"""


@pytest.mark.skipif(shutil.which("puppet") is None, reason="Puppet is not installed")
def test_the_hook_for_puppet_deploys_and_fails(stack: Stack, make: Make, tmp_path: Path) -> None:
    c1 = make("c1", DEPLOY)
    stack.configuration("c1", "web").put(
        "puppet", config=MANIFEST, inputs={"address": "10.0.0.5"}, outputs=["url"]
    )
    stack.configuration("c1", "broken").put("puppet", config="fail('no disk')")
    start(c1, tmp_path, "puppet", HEAT_PUPPET_LOGDIR=str(tmp_path / "logs"))
    web, broken = ended(stack, "web"), ended(stack, "broken")
    assert web.state == "complete", web.result
    assert web.result is not None
    assert web.result.outputs == {"url": "http://10.0.0.5/"}
    assert "deploying with CREATE" in web.result.stdout
    assert broken.state == "failed"
    assert broken.result is not None
    assert "no disk" in broken.result.stdout + broken.result.stderr
