"""All options, for registration and for the sample generator."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from oslo_config import cfg

from factstore.conf import api, console, etcd, limits, notify, sealing, vendordata, watch

_ALL: list[tuple[cfg.OptGroup | None, list[Any]]] = [
    (None, api.DEFAULT_OPTS),
    (api.API_GROUP, api.API_OPTS),
    (console.CONSOLE_GROUP, console.CONSOLE_OPTS),
    (etcd.ETCD_GROUP, etcd.ETCD_OPTS),
    (watch.WATCH_GROUP, watch.WATCH_OPTS),
    (limits.LIMITS_GROUP, limits.LIMITS_OPTS),
    (sealing.SEALING_GROUP, sealing.SEALING_OPTS),
    (notify.NOTIFY_GROUP, notify.NOTIFY_OPTS),
    (vendordata.VENDORDATA_GROUP, vendordata.VENDORDATA_OPTS),
]


def list_opts() -> Sequence[tuple[cfg.OptGroup | None, list[Any]]]:
    """Return all options by group; entry point ``oslo.config.opts``."""
    return _ALL


def register(conf: cfg.ConfigOpts) -> None:
    """Register the options with a configuration object."""
    for group, opts in _ALL:
        if group is not None:
            conf.register_group(group)
        conf.register_opts(opts, group=group)
