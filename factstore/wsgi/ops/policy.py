"""Decisions by oslo.policy."""

from __future__ import annotations

from oslo_config import cfg
from oslo_policy import opts as policy_opts
from oslo_policy import policy

from factstore.api.identity import Identity
from factstore.core.ports import Clock
from factstore.policies import list_rules

KEPT_SECONDS = 5.0  # how late a change of the operator's policy file may take effect
KEPT_DECISIONS = 10_000

_Question = tuple[str, str, str, tuple[str, ...], str, str]


class PolicyAuthorizer:
    """An :class:`~factstore.api.identity.Authorizer` over the rules and the operator's overrides.

    A decision depends on nothing but rule, caller and project, and costs oslo.policy a quarter of
    what a whole write costs; so it is kept for some seconds.
    """

    def __init__(self, conf: cfg.ConfigOpts, clock: Clock) -> None:
        policy_opts.set_defaults(conf)
        self._clock = clock
        self._enforcer = policy.Enforcer(conf)
        self._enforcer.register_defaults(list(list_rules()))
        self._enforcer.load_rules()
        self._decided: dict[_Question, bool] = {}
        self._forget_at = 0.0

    def __call__(self, rule: str, identity: Identity, project_id: str) -> bool:
        """Whether *identity* may do what *rule* names in a project."""
        now = self._clock.monotonic()
        if now >= self._forget_at or len(self._decided) >= KEPT_DECISIONS:
            self._decided = {}
            self._forget_at = now + KEPT_SECONDS
        question = (
            rule,
            identity.user_id,
            identity.project_id,
            identity.roles,
            identity.reach.role,
            project_id,
        )
        decision = self._decided.get(question)
        if decision is None:
            decision = self._decided[question] = self._decide(rule, identity, project_id)
        return decision

    def _decide(self, rule: str, identity: Identity, project_id: str) -> bool:
        credentials = {
            "user_id": identity.user_id,
            "project_id": identity.project_id,
            "roles": list(identity.roles),
            "grant": identity.reach.role if identity.reach.grant else "",
        }
        return bool(self._enforcer.authorize(rule, {"project_id": project_id}, credentials))
