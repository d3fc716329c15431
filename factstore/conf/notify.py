"""Options of the delivery of events to subscriptions."""

from __future__ import annotations

from oslo_config import cfg

NOTIFY_GROUP = cfg.OptGroup(
    "notify",
    title="The delivery of events to subscriptions, by factstore-notify",
    help="allow_http also has to be the same for the API, which refuses targets that cannot be used.",
)
NOTIFY_OPTS = [
    cfg.BoolOpt(
        "allow_http",
        default=False,
        help="Deliver to targets that begin with http://, too.  Such messages are signed, but not "
        "encrypted.",
    ),
    cfg.ListOpt(
        "allow_cidrs",
        default=[],
        help="Networks to which the service delivers although their addresses are not global, such as "
        "10.20.0.0/16.  Every user of the service can send requests to all hosts in them.  Never name "
        "the network of the control plane, or 169.254.169.254.",
    ),
    cfg.StrOpt(
        "ca_file",
        help="File with the certificate authorities of the targets; by default those of the system.",
    ),
    cfg.StrOpt(
        "proxy",
        help="A proxy that connects to the targets, as http://HOST:PORT.  It is asked for addresses "
        "that have been checked, with the method CONNECT.  The proxies that the environment names are "
        "not used.",
    ),
    cfg.IntOpt(
        "suspend_after",
        default=3 * 24 * 3600,
        min=60,
        help="Seconds after which a subscription is suspended if every delivery to its target has "
        "failed.",
    ),
    cfg.IntOpt(
        "connections_per_host",
        default=32,
        min=1,
        help="Maximum number of requests that a notifier sends at the same time to one host for one "
        "project.",
    ),
    cfg.ListOpt(
        "heat_endpoints",
        default=[],
        help="URLs of Heat below which a heat-signal target must be.  By default those that Keystone's "
        "catalog has for the types cloudformation and orchestration.",
    ),
    cfg.StrOpt(
        "zaqar_endpoint",
        help="URL of Zaqar.  By default the one that Keystone's catalog has for the type messaging.",
    ),
    cfg.StrOpt(
        "host",
        default="127.0.0.1",
        help="Address on which factstore-notify serves its metrics and its healthcheck.",
    ),
    cfg.PortOpt(
        "port",
        default=8797,
        help="Port of the metrics and the healthcheck; 0 for none.",
    ),
]
