"""Authorization by oslo.policy."""

from __future__ import annotations

import logging
import sys
from typing import Any

from oslo_config import cfg
from oslo_policy import opts as policy_opts
from oslo_policy import policy

from factstore.api.identity import Identity
from factstore.core.ports import Clock
from factstore.policies import list_rules
from factstore.wsgi import configuration

LOG = logging.getLogger(__name__)

CACHE_SECONDS = 5.0  # delay before a change of the operator's policy file takes effect
CACHE_SIZE = 10_000

_UNUSABLE = (AttributeError, OSError, TypeError, ValueError)
"""Errors of oslo.policy about a file that it cannot use."""

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
        """Read the rules.

        :raises oslo_config.cfg.ConfigFileValueError: a file with rules cannot be used.
        """
        self._clock = clock
        self._enforcer = _enforcer_for(conf)
        try:
            self._enforcer.load_rules()
        except _UNUSABLE as error:
            raise cfg.ConfigFileValueError(self._reason(error)) from None
        self._decisions: dict[_CacheKey, bool] = {}
        self._expires_at = 0.0
        self._problem = ""  # of the files with rules, as it was logged

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
        target = {"project_id": project_id}
        try:
            allowed = self._enforcer.authorize(rule, target, credentials)
        except _UNUSABLE as error:  # a file has changed
            if self._problem != (reason := self._reason(error)):
                self._problem = reason
                LOG.error("The former rules remain: %s", reason)
            allowed = self._decide_by_former_rules(rule, target, credentials)
        else:
            self._problem = ""
        return bool(allowed)

    def _decide_by_former_rules(
        self, rule: str, target: dict[str, str], credentials: dict[str, Any]
    ) -> Any:
        self._enforcer.use_conf = False  # it reads no files
        try:
            return self._enforcer.authorize(rule, target, credentials)
        finally:
            self._enforcer.use_conf = True

    def _reason(self, error: Exception) -> str:
        """Return why the rules cannot be used."""
        reason = str(error)
        if isinstance(error, AttributeError):
            reason = "it is not a mapping of names to rules"
        elif isinstance(error, TypeError):
            reason = "a name or a rule in it is not a string"
        file = self._enforcer.policy_path or self._enforcer.policy_file
        return f"[oslo_policy] policy_file, {file}, cannot be used: {reason}"
