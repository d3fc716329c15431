"""Tests of signatures, and of the client's verifier."""

from __future__ import annotations

import base64
import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st

from factstore.client.webhook import InvalidSignature, verify_webhook
from factstore.notify.signature import signed_headers

# The example of the Standard Webhooks specification; the signature is that of its own library.
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
MESSAGE_ID = "msg_p5jXN8AQM9LWM0D4loKWxJek"
SENT_AT = 1614265330
BODY = b'{"test": 2432232314}'
SIGNATURE = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="

OTHER_SECRET = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYX"


def signed(*secrets: str) -> dict[str, str]:
    return signed_headers(MESSAGE_ID, SENT_AT, BODY, secrets)


def test_the_signature_of_the_specification_s_example_is_reproduced() -> None:
    assert signed(SECRET) == {
        "webhook-id": MESSAGE_ID,
        "webhook-timestamp": str(SENT_AT),
        "webhook-signature": SIGNATURE,
    }


@given(st.binary(max_size=200), st.binary(max_size=300))
def test_the_signature_is_the_hmac_for_keys_of_any_length(key: bytes, body: bytes) -> None:
    secret = f"whsec_{base64.b64encode(key).decode()}"
    signature = signed_headers("id", 5, body, [secret])["webhook-signature"]
    expected = hmac.digest(key, b"id.5." + body, "sha256")
    assert signature == f"v1,{base64.b64encode(expected).decode()}"


def test_a_message_is_verified_with_either_secret_while_they_are_rotated() -> None:
    headers = signed(OTHER_SECRET, SECRET)
    for secrets in SECRET, OTHER_SECRET, [SECRET, "whsec_bm8="]:
        assert verify_webhook(secrets, headers, BODY, now=SENT_AT + 300) == {"test": 2432232314}
    upper = {name.upper(): value for name, value in headers.items()}
    assert verify_webhook(SECRET, upper, BODY, now=SENT_AT - 300)


@pytest.mark.parametrize(
    "changed",
    [
        {"webhook-id": "msg_other"},
        {"webhook-timestamp": str(SENT_AT + 1)},
        {"webhook-timestamp": f"{SENT_AT}.0"},
        {"webhook-timestamp": "\u0661"},
        {"webhook-timestamp": ""},
        {"webhook-signature": ""},
        {"webhook-signature": SIGNATURE.replace("v1,", "v1a,")},
        {"webhook-signature": SIGNATURE.removeprefix("v1,")},
        {"webhook-signature": "v1,g0hM"},
        {"webhook-signature": "v1,\u00e9"},
    ],
)
def test_a_changed_message_is_refused(changed: dict[str, str]) -> None:
    with pytest.raises(InvalidSignature):
        verify_webhook(SECRET, signed(SECRET) | changed, BODY, now=SENT_AT)


def test_a_message_is_refused_if_it_is_late_early_changed_or_not_signed() -> None:
    headers = signed(SECRET)
    for now in SENT_AT + 301, SENT_AT - 301:
        with pytest.raises(InvalidSignature, match="too old"):
            verify_webhook(SECRET, headers, BODY, now=now)
    with pytest.raises(InvalidSignature, match="No signature"):
        verify_webhook(SECRET, headers, BODY + b" ", now=SENT_AT)
    with pytest.raises(InvalidSignature, match="No signature"):
        verify_webhook(OTHER_SECRET, headers, BODY, now=SENT_AT)
    with pytest.raises(InvalidSignature, match="no header webhook-id"):
        verify_webhook(SECRET, {}, BODY)
