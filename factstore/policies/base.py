"""The roles that rules are made of, as Keystone defines them at bootstrap."""

from __future__ import annotations

from oslo_policy import policy

SERVICE_TYPE = "contextualization"

READER = "rule:project_reader"
MEMBER = "rule:project_member"
READER_OR_HOLDER = "rule:project_reader or rule:holder"
MEMBER_OR_HOLDER = "rule:project_member or rule:holder"
MEMBER_OR_AGENT = "rule:project_member or rule:agent"
ADMIN = "rule:admin"

RULES = [
    policy.RuleDefault("default", "!", description="What no rule allows is forbidden."),
    policy.RuleDefault("admin", "role:admin", description="The cloud's administrators."),
    policy.RuleDefault("service", "role:service", description="Other services of the cloud."),
    policy.RuleDefault(
        "project_reader",
        "(role:reader and project_id:%(project_id)s) or rule:project_member",
        description="Who may read in a project.",
    ),
    policy.RuleDefault(
        "project_member",
        "((role:member or rule:service) and project_id:%(project_id)s) or rule:admin",
        description="Who owns a project's stacks.",
    ),
    policy.RuleDefault(
        "agent",
        "grant:agent and project_id:%(project_id)s",
        description="Who holds a grant for an agent; it reaches one stack only, and there its own.",
    ),
    policy.RuleDefault(
        "holder",
        "rule:agent or (grant:reader and project_id:%(project_id)s)",
        description="Who holds a grant, which reaches one stack only.",
    ),
]


def documented(
    name: str, check: str, description: str, *operations: tuple[str, str]
) -> policy.DocumentedRuleDefault:
    """A rule for one operation.

    :param name: what follows the service type, such as ``facts:get``.
    :param operations: pairs of method and path below ``/v1``.
    """
    return policy.DocumentedRuleDefault(
        f"{SERVICE_TYPE}:{name}",
        check,
        description,
        [{"method": method, "path": f"/v1{path}"} for method, path in operations],
        scope_types=["project"],
    )
