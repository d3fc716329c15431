"""Sealed secrets of subscriptions: rotated keys, lost keys, and secrets from before there were keys."""

from __future__ import annotations

from pathlib import Path

import pytest

from factstore.core.errors import (
    SealBroken,
)
from factstore.core.operations.encryption import Encryption
from factstore.core.operations.subscription_secrets import clear_challenge, signing_secrets
from factstore.core.services.key_rewrap import KeyRewrapResult
from tests.contract.subscribing import (
    CHALLENGE,
    SCOPE,
    SECRET,
    create,
    rotation,
    stored,
)
from tests.contract.world import PROJECT, Worker, World
from tests.sealing_keys import make_keys, rotate_keys, sealing_with


def opened(
    worker: Worker, subscription: str, encryption: Encryption
) -> tuple[tuple[str, ...], str]:
    """Return the secrets and the challenge in the clear."""
    found, project = stored(worker, subscription), worker.store.state().stack_state(SCOPE)
    assert project is not None
    secrets = signing_secrets(encryption, project, found, "2000")
    return secrets, clear_challenge(encryption, project, found)


def test_secrets_are_sealed_with_the_operators_keys(world: World, tmp_path: Path) -> None:
    make_keys(tmp_path / "keys")
    encryption = sealing_with(tmp_path / "keys")
    worker = world.worker(encryption=encryption)
    made = create(worker, encryption=encryption).subscription
    plain = create(worker).subscription
    assert SECRET not in repr(made) + str(stored(worker, made.id).secrets)
    assert opened(worker, made.id, encryption) == ((SECRET,), CHALLENGE)

    rotate_keys(tmp_path / "keys")
    encryption = sealing_with(tmp_path / "keys")  # the other one has read the keys already
    worker = world.worker(encryption=encryption)
    assert worker.services.key_rewrap.run() == KeyRewrapResult(renewed=1)
    assert worker.services.key_rewrap.run() == KeyRewrapResult(current=1)
    assert opened(worker, made.id, encryption) == ((SECRET,), CHALLENGE)

    worker.transactor.run(rotation(plain.id, "whsec_bmV3", encryption=encryption))
    assert stored(worker, plain.id).wrapped_key
    assert opened(worker, plain.id, encryption) == (("whsec_bmV3", SECRET), CHALLENGE)


def test_a_subscription_whose_key_is_lost_gets_another_secret(world: World, tmp_path: Path) -> None:
    for name in ("lost", "new"):
        make_keys(tmp_path / name)
    encryption = sealing_with(tmp_path / "new")
    worker = world.worker(encryption=encryption)
    made = create(worker, encryption=sealing_with(tmp_path / "lost")).subscription
    with pytest.raises(SealBroken):
        worker.transactor.run(rotation(made.id, "whsec_bmV3", encryption=encryption))
    assert worker.services.key_rewrap.run() == KeyRewrapResult(subscriptions=((PROJECT, made.id),))
    operation = rotation(made.id, "whsec_bmV3", overlap=0, encryption=encryption)
    worker.transactor.run(operation)
    assert opened(worker, made.id, encryption) == (("whsec_bmV3",), "challenge-z")
    assert create(worker, encryption=encryption).secret == SECRET
