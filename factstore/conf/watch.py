"""Options of the watch."""

from __future__ import annotations

from oslo_config import cfg

WATCH_GROUP = cfg.OptGroup("watch", title="The watch")
WATCH_OPTS = [
    cfg.IntOpt(
        "history_events",
        default=100000,
        min=1,
        help="Events that a worker holds, over all stacks, for readers that resume.",
    ),
    cfg.IntOpt("history_mib", default=64, min=1, help="About how many MiB these events may take."),
]
