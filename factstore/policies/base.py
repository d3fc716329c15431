"""Rules for roles, which the rules for operations refer to."""

from __future__ import annotations

from oslo_policy import policy

from factstore import SERVICE_TYPE

READER = "rule:project_reader"
MEMBER = "rule:project_member"
READER_OR_HOLDER = "rule:project_reader or rule:holder"
MEMBER_OR_HOLDER = "rule:project_member or rule:holder"
MEMBER_OR_AGENT = "rule:project_member or rule:agent"
ADMIN = "rule:admin"
SERVICE = "rule:service or rule:admin"

RULES = [
    policy.RuleDefault("default", "!", description="Operations that no rule allows are forbidden."),
    policy.RuleDefault("admin", "role:admin", description="Administrators of the cloud."),
    policy.RuleDefault("service", "role:service", description="Other services of the cloud."),
    policy.RuleDefault(
        "project_reader",
        "(role:reader and project_id:%(project_id)s) or rule:project_member",
        description="Users who can read in a project.",
    ),
    policy.RuleDefault(
        "project_member",
        "((role:member or rule:service) and project_id:%(project_id)s) or rule:admin",
        description="Users who own the stacks of a project.",
    ),
    policy.RuleDefault(
        "agent",
        "grant:agent and project_id:%(project_id)s",
        description="Holders of a grant for an agent. The grant is valid for one stack, and in it only "
        "for the agent's own member and facts.",
    ),
    policy.RuleDefault(
        "holder",
        "rule:agent or (grant:reader and project_id:%(project_id)s)",
        description="Holders of any grant. A grant is valid for one stack.",
    ),
]


def operation_rule(
    name: str, check: str, description: str, *operations: tuple[str, str]
) -> policy.DocumentedRuleDefault:
    """Return the rule for an operation.

    :param name: the name without the service type, such as ``facts:get``.
    :param operations: pairs of method and path below ``/v1``.
    """
    return policy.DocumentedRuleDefault(
        f"{SERVICE_TYPE}:{name}",
        check,
        description,
        [{"method": method, "path": f"/v1{path}"} for method, path in operations],
        scope_types=["project"],
    )
