"""Options of the watch."""

from __future__ import annotations

from oslo_config import cfg

WATCH_GROUP = cfg.OptGroup("watch", title="The watch")
WATCH_OPTS = [
    cfg.IntOpt(
        "history_events",
        default=100000,
        min=1,
        help="Maximum number of events of all stacks that a worker keeps, so that watchers can "
        "resume.  If there are more, or they need more memory than history_mib, the project with "
        "most of them loses the oldest ones of its largest stack.",
    ),
    cfg.IntOpt(
        "history_mib",
        default=64,
        min=1,
        help="Approximate maximum size of these events in memory, in MiB.",
    ),
    cfg.IntOpt(
        "history_seconds",
        default=900,
        min=1,
        help="Number of seconds for which an event is recent.  If there is not enough memory, events "
        "that are older are deleted first, whatever their project.",
    ),
    cfg.IntOpt(
        "stuck_seconds",
        default=60,
        min=1,
        help="Number of seconds after which a stack is reported as stuck, with the event stack.stuck: "
        "its members wait for each other, or for facts that will not come.  For the same time, a value "
        "that differs from the one that a waiter awaits is expected to change.",
    ),
    cfg.IntOpt(
        "flapping_times",
        default=5,
        min=1,
        max=100,
        help="Number of times that a chain of changes, each of which follows from the one before, may "
        "return to the same fact before it is reported with the event stack.flapping.",
    ),
]
