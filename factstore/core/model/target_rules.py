"""The targets that an operator allows, as far as their text shows it.

The notifier checks each address again, when it connects.
"""

from __future__ import annotations

from dataclasses import field
from ipaddress import ip_address

from factstore.core.errors import Invalid
from factstore.core.model.address_rules import AddressRules
from factstore.core.model.path import quoted
from factstore.core.model.quick_dataclass import quick_dataclass
from factstore.core.model.target import Target


@quick_dataclass(frozen=True, slots=True)
class TargetRules:
    """The rules of one installation.

    :param allow_http: True if targets may be reached without TLS.
    """

    allow_http: bool = False
    addresses: AddressRules = field(default_factory=AddressRules)

    def parse(self, text: str) -> Target:
        """Return the target that a text spells, if its host may be allowed.

        :raises Invalid: ``target_invalid``.
        """
        target = Target.parse(text, allow_http=self.allow_http)
        # A URL of Heat is compared with Heat's own endpoints instead, which are often internal.
        address = _address(target.host) if target.needs_challenge else ""
        problem = self.addresses.refusal(address) if address else None
        if problem is not None:
            raise Invalid(
                f"No message may be sent to {quoted(target.host)}: {problem}. Use a public address, or "
                "ask an operator to allow its network.",
                code="target_invalid",
            )
        return target


def _address(host: str) -> str:
    """Return the address that a host is, or is known to mean; empty for any other name."""
    if host.lower().rpartition(".")[2] == "localhost":
        return "127.0.0.1"
    try:
        return str(ip_address(host))
    except ValueError:
        return ""
