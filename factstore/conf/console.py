"""Options of the console."""

from __future__ import annotations

from oslo_config import cfg

CONSOLE_GROUP = cfg.OptGroup("console", title="The console, a web page")
CONSOLE_OPTS = [
    cfg.BoolOpt(
        "enabled",
        default=False,
        help="Whether the service offers the console at /console/, a page that shows stacks live.  "
        "With auth_strategy=keystone, people sign in with their password or a token.",
    ),
    cfg.URIOpt(
        "auth_url",
        schemes=["http", "https"],
        help="URL of Keystone at which the console exchanges passwords for tokens.  The default is "
        "auth_url in [keystone_authtoken].",
    ),
    cfg.ListOpt(
        "origins",
        default=[],
        help="Origins of the console as browsers see it, such as https://facts.example.com, if a proxy "
        "replaces the header Host.  The console accepts changes only from these origins and from that "
        "of its own URL.",
    ),
]
