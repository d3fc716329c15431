"""``factstore-agent check --service``: problems that only the service can report."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from datetime import timedelta

from factstore.agent.config.settings import Settings
from factstore.agent.errors import Misconfigured, TokenError, describe
from factstore.agent.session.connection import open_connection
from factstore.client import GrantRecord
from factstore.client.errors import CertificateError, NotFound, Refused

SKEW_SECONDS = 5.0
"""The difference of two clocks that is reported.  A response states its time in whole seconds."""


def find_problems(settings: Settings, environ: Mapping[str, str]) -> Iterator[str]:
    """Yield a sentence for each problem that the service reports.  Nothing is changed there.

    :raises FactstoreError: the service does not answer.
    """
    try:
        connection = open_connection(settings, environ)
    except Misconfigured:
        return  # the check without the service reports that
    stack, enrolment = connection.stack, connection.enrolment
    try:
        if enrolment is None:
            with suppress(NotFound):  # of a stack that its first member creates
                stack.context()
            return
        grant = stack.grant(enrolment.grant_id).show()
    except CertificateError as error:
        yield f"The certificate of the service is not trusted: {describe(error)}"
    except TokenError as error:
        yield f"Keystone did not issue a token: {describe(error)}"
    except Refused as error:
        credential = "the credential" if enrolment is None else f"the grant {enrolment.grant_id}"
        name = settings.agent.stack
        yield f"The service refused {credential} for the stack {name}: {describe(error)}"
    else:
        yield from _grant_problems(grant, settings)


def _grant_problems(grant: GrantRecord, settings: Settings) -> Iterator[str]:
    agent = settings.agent
    if grant.role != "agent":
        yield f"The grant {grant.id} has the role {grant.role}: issue one with the role agent."
        return
    for option, given, granted in (
        ("member", agent.member, grant.member),
        ("group", agent.group, grant.group),
    ):
        if given and granted is not None and given != granted:
            yield f"[agent] {option}: the grant {grant.id} is for {granted}, and not for {given}."
    if grant.answered_at is not None:
        ahead = round(time.time() - grant.answered_at)
        if abs(ahead) > SKEW_SECONDS:
            side = "ahead of" if ahead > 0 else "behind"
            yield (
                f"The clock of this machine is {timedelta(seconds=abs(ahead))} {side} that of the "
                "service. Synchronize it, for example with chrony."
            )
