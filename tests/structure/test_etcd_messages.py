"""Our description of etcd's messages is complete, so that it can take the place of ``etcd3``."""

from __future__ import annotations

import re
from pathlib import Path

from factstore.store.client import messages

PROTO = Path(__file__).parents[1] / "etcd_messages" / "etcd.proto"


def test_the_description_has_every_message_and_stub_that_is_imported() -> None:
    text = PROTO.read_text()
    found = set(re.findall(r"^message (\w+)", text, re.MULTILINE))
    found |= {f"{name}Stub" for name in re.findall(r"^service (\w+)", text, re.MULTILINE)}
    assert set(messages.__all__) - found == set()
