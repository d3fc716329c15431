"""Decisions by oslo.policy."""

from __future__ import annotations

from oslo_config import cfg
from oslo_policy import opts as policy_opts
from oslo_policy import policy

from factstore.api.identity import Identity
from factstore.policies import list_rules


class PolicyAuthorizer:
    """An :class:`~factstore.api.identity.Authorizer` over the rules and the operator's overrides."""

    def __init__(self, conf: cfg.ConfigOpts) -> None:
        policy_opts.set_defaults(conf)
        self._enforcer = policy.Enforcer(conf)
        self._enforcer.register_defaults(list_rules())
        self._enforcer.load_rules()

    def __call__(self, rule: str, identity: Identity, project_id: str) -> bool:
        """Whether *identity* may do what *rule* names in a project."""
        credentials = {
            "user_id": identity.user_id,
            "project_id": identity.project_id,
            "roles": list(identity.roles),
        }
        return bool(self._enforcer.authorize(rule, {"project_id": project_id}, credentials))
