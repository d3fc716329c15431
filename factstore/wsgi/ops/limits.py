"""Quotas and rate limits of projects, from the configuration."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from oslo_config import cfg

from factstore.conf import limits
from factstore.core.model.quota import Quota, Quotas
from factstore.core.services.rate_limit import Allowance, Allowances

T = TypeVar("T")


def read(conf: cfg.ConfigOpts) -> tuple[Quotas, Allowances]:
    """Return the quotas and rate limits by project; the options are read only once."""
    return _by_project(conf, _quota), _by_project(conf, _allowance)


def _by_project(
    conf: cfg.ConfigOpts, make: Callable[[cfg.ConfigOpts, str], T]
) -> Callable[[str], T]:
    default = make(conf, limits.LIMITS_GROUP.name)
    overrides = {
        section.removeprefix(limits.PREFIX): make(conf, section)
        for section in conf.list_all_sections()
        if section.startswith(limits.PREFIX)
    }
    return lambda project_id: overrides.get(project_id, default)


def _value(conf: cfg.ConfigOpts, section: str, name: str) -> int:
    """Return an option of a section, by default the value of ``[limits]``."""
    default: int = conf[limits.LIMITS_GROUP.name][name]
    if section == limits.LIMITS_GROUP.name:
        return default
    option = next(opt for opt in limits.LIMITS_OPTS if opt.name == name)
    conf.register_opt(option, group=section)
    conf.set_default(name, default, group=section)
    found: int = conf[section][name]
    return found


def _quota(conf: cfg.ConfigOpts, section: str) -> Quota:
    return Quota(
        stacks=_value(conf, section, "stacks"),
        facts=_value(conf, section, "facts"),
        bytes=_value(conf, section, "bytes"),
        facts_per_stack=_value(conf, section, "facts_per_stack"),
        bytes_per_stack=_value(conf, section, "bytes_per_stack"),
        subscriptions=_value(conf, section, "subscriptions"),
    )


def _allowance(conf: cfg.ConfigOpts, section: str) -> Allowance:
    return Allowance(
        streams=_value(conf, section, "streams"),
        streams_per_stack=_value(conf, section, "streams_per_stack"),
        waiting_requests=_value(conf, section, "waiting_requests"),
        requests_per_second=_value(conf, section, "requests_per_second"),
        burst=_value(conf, section, "burst"),
    )
