"""Authorization by oslo.policy."""

from __future__ import annotations

import sys

from oslo_config import cfg
from oslo_policy import opts as policy_opts
from oslo_policy import policy

from factstore.api.identity import Identity
from factstore.core.ports import Clock
from factstore.policies import list_rules
from factstore.wsgi import configuration

CACHE_SECONDS = 5.0  # delay before a change of the operator's policy file takes effect
CACHE_SIZE = 10_000

_CacheKey = tuple[str, str, str, tuple[str, ...], str, str]


def _enforcer_for(conf: cfg.ConfigOpts) -> policy.Enforcer:
    policy_opts.set_defaults(conf)
    found = policy.Enforcer(conf)
    found.register_defaults(list(list_rules()))
    return found


def enforcer() -> policy.Enforcer:
    """Return the enforcer for oslo.policy's commands; entry point ``oslo.policy.enforcer``.

    The commands use oslo.config's global object, for which no project has been named yet.
    """
    conf = cfg.CONF
    files = configuration.named_files() or None
    conf(sys.argv[1:], project="factstore", default_config_files=files)
    found = _enforcer_for(conf)
    path = conf.find_file(conf.oslo_policy.policy_file)
    if path is not None:  # oslopolicy-validator looks for it in the current directory only
        conf.set_override("policy_file", path, "oslo_policy")
    return found


class PolicyAuthorizer:
    """An :class:`~factstore.api.identity.Authorizer` over the default rules and the operator's own.

    A decision depends only on rule, caller and project, and costs a quarter of the time of a whole
    write, so it is cached for some seconds.
    """

    def __init__(self, conf: cfg.ConfigOpts, clock: Clock) -> None:
        self._clock = clock
        self._enforcer = _enforcer_for(conf)
        self._enforcer.load_rules()
        self._decisions: dict[_CacheKey, bool] = {}
        self._expires_at = 0.0

    def __call__(self, rule: str, identity: Identity, project_id: str) -> bool:
        """Return True if a rule allows *identity* to act in a project."""
        now = self._clock.monotonic()
        if now >= self._expires_at or len(self._decisions) >= CACHE_SIZE:
            self._decisions = {}
            self._expires_at = now + CACHE_SECONDS
        # A thousand members have as many grants, about which the rules decide by their role.
        user_id = "" if identity.permissions.grant else identity.user_id
        key = (
            rule,
            user_id,
            identity.project_id,
            identity.roles,
            identity.permissions.role,
            project_id,
        )
        decision = self._decisions.get(key)
        if decision is None:
            decision = self._decide(rule, identity, project_id, user_id)
            self._decisions[key] = decision
        return decision

    def _decide(self, rule: str, identity: Identity, project_id: str, user_id: str) -> bool:
        credentials = {
            "user_id": user_id,
            "project_id": identity.project_id,
            "roles": list(identity.roles),
            "grant": identity.permissions.role if identity.permissions.grant else "",
        }
        return bool(self._enforcer.authorize(rule, {"project_id": project_id}, credentials))
