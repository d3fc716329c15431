"""Logging, as the configuration says."""

from __future__ import annotations

from oslo_config import cfg
from oslo_log import log

_QUIET = ["keystonemiddleware=INFO", "keystoneauth=INFO", "oslo_policy=INFO", "urllib3=WARN"]


def register(conf: cfg.ConfigOpts) -> None:
    """Make oslo.log's options known."""
    log.register_options(conf)


def set_up(conf: cfg.ConfigOpts) -> None:
    """Log as configured; libraries that would log tokens at DEBUG stay quiet."""
    log.set_defaults(default_log_levels=[*log.get_default_log_levels(), *_QUIET])
    log.setup(conf, "factstore")
