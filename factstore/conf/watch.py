"""Options of the watch."""

from __future__ import annotations

from oslo_config import cfg

WATCH_GROUP = cfg.OptGroup("watch", title="The watch")
WATCH_OPTS = [
    cfg.IntOpt(
        "history_events",
        default=100000,
        min=1,
        help="Maximum number of events of all stacks that a worker keeps, so that watchers can resume.",
    ),
    cfg.IntOpt(
        "history_mib",
        default=64,
        min=1,
        help="Approximate maximum size of these events in memory, in MiB.",
    ),
]
