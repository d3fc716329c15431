"""Options of the API itself."""

from __future__ import annotations

from oslo_config import cfg

DEFAULT_OPTS = [
    cfg.StrOpt(
        "auth_strategy",
        default="keystone",
        choices=[
            ("keystone", "tokens are validated by Keystone; see [keystone_authtoken]"),
            ("none", "no authentication and one fixed project; loopback addresses only"),
        ],
        help="How callers are identified.",
    ),
]

API_GROUP = cfg.OptGroup("api", title="The REST API")
API_OPTS = [
    cfg.HostAddressOpt(
        "host",
        default="127.0.0.1",
        help="Address that the bundled server configuration binds.  With auth_strategy=none it must "
        "be a loopback address.",
    ),
    cfg.PortOpt("port", default=8796, help="Port that the bundled server configuration binds."),
    cfg.IntOpt(
        "workers",
        default=1,
        min=1,
        help="Worker processes of the bundled server configuration; one per core is a good number.",
    ),
    cfg.IntOpt(
        "connections",
        default=20000,
        min=16,
        help="Connections that one worker of the bundled server configuration holds at once, "
        "watchers included.",
    ),
    cfg.IntOpt(
        "drain_seconds",
        default=8,
        min=1,
        help="How long a stopping worker lets requests finish; streams are told to go elsewhere "
        "at once.",
    ),
    cfg.IntOpt(
        "idle_write_seconds",
        default=30,
        min=1,
        help="A stream whose reader has taken nothing for so long is cut; it can resume.",
    ),
    cfg.BoolOpt(
        "access_log",
        default=False,
        help="Whether each request is a line in the log: method, path without query, status, "
        "duration.  A stream's line comes when it ends.",
    ),
]
