"""Options of the API."""

from __future__ import annotations

from oslo_config import cfg

DEFAULT_OPTS = [
    cfg.StrOpt(
        "auth_strategy",
        default="keystone",
        choices=[
            ("keystone", "Keystone validates the tokens; see [keystone_authtoken]"),
            ("none", "no authentication and one fixed project; loopback addresses only"),
        ],
        help="How the service authenticates users.",
    ),
]

API_GROUP = cfg.OptGroup("api", title="The REST API")
API_OPTS = [
    cfg.HostAddressOpt(
        "host",
        default="127.0.0.1",
        help="Address that the service listens on, if it runs with the bundled server configuration.  "
        "With auth_strategy=none, this must be a loopback address.",
    ),
    cfg.PortOpt(
        "port",
        default=8796,
        help="Port that the service listens on, if it runs with the bundled server configuration.",
    ),
    cfg.IntOpt(
        "workers",
        default=1,
        min=1,
        help="Number of worker processes, if the service runs with the bundled server configuration.  "
        "One for each core is a good start.",
    ),
    cfg.IntOpt(
        "connections",
        default=20000,
        min=16,
        help="Maximum number of connections to one worker, if the service runs with the bundled server "
        "configuration.  Requests that wait and streams occupy at most three quarters of them.  A "
        "worker that may open fewer files serves fewer connections.",
    ),
    cfg.IntOpt(
        "threads",
        default=0,
        min=0,
        help="Number of requests that each process of another WSGI server serves at the same time: its "
        "threads or greenlets.  Requests that wait and streams occupy at most three quarters of them.  "
        "uWSGI and mod_wsgi report the number themselves.  Under other servers, no request can wait "
        "until it is set.",
    ),
    cfg.IntOpt(
        "drain_seconds",
        default=8,
        min=1,
        help="Number of seconds for which a stopping worker lets running requests finish.  It ends "
        "streams at once, so that their clients connect to another worker.",
    ),
    cfg.IntOpt(
        "idle_seconds",
        default=75,
        min=1,
        help="Number of seconds after which a connection without a request is closed.  It must be "
        "longer than the time for which a proxy keeps its connections to the service.",
    ),
    cfg.IntOpt(
        "read_seconds",
        default=30,
        min=1,
        help="Number of seconds in which the header of a request must arrive, and then each 64 KiB of "
        "its body.  A request that takes longer is answered with status 408.",
    ),
    cfg.IntOpt(
        "idle_write_seconds",
        default=30,
        min=1,
        help="Number of seconds after which a connection is closed if its client has read nothing of a "
        "response or a stream.  The client can resume the stream.  A client that was switched off is "
        "noticed after about the same time.",
    ),
    cfg.IntOpt(
        "body_mib",
        default=64,
        min=2,
        help="Maximum size of all bodies that a worker receives at the same time, in MiB.  If they are "
        "larger, those that have been arriving for longest are answered with status 408.",
    ),
    cfg.BoolOpt(
        "agent",
        default=True,
        help="Whether the service offers the agent as one file at GET /v1/agent, without "
        "authentication.  Instances fetch it from there at their first boot.",
    ),
    cfg.StrOpt(
        "agent_directory",
        default="/var/lib/factstore/agents",
        help="Directory in which the service keeps each release of the agent that it offers, if the "
        "directory exists.  User data contain the digest of the agent that they fetch, so instances of "
        "older stacks need earlier releases.  Several API hosts need the same files.",
    ),
    cfg.BoolOpt(
        "fast_path",
        default=True,
        help="Whether the bundled server answers the requests that clusters send most often on a fast "
        "path, without the layers of the framework.  The answers are the same.  It is always off if "
        "access_log or [cors] allowed_origin is set.",
    ),
    cfg.BoolOpt(
        "access_log",
        default=False,
        help="Whether to log each request with its method, its path without the query, its status and "
        "its duration.  A stream is logged when it ends.",
    ),
]
