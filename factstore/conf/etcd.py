"""Options of the store."""

from __future__ import annotations

from oslo_config import cfg

ETCD_GROUP = cfg.OptGroup("etcd", title="The etcd cluster that holds the facts")
ETCD_OPTS = [
    cfg.ListOpt(
        "endpoints",
        default=["http://127.0.0.1:2379"],
        help="Client URLs of the members, http:// or https://, in order of preference.",
    ),
    cfg.StrOpt(
        "root",
        default="/factstore/v1",
        regex=r"(/[A-Za-z0-9_.-]+)+",
        help="Key below which everything lies.",
    ),
    cfg.StrOpt("username", default="", help="etcd user; empty for none."),
    cfg.StrOpt("password", default="", secret=True, help="The etcd user's password."),
    cfg.StrOpt("ca_file", default="", help="PEM file with the CA that signed etcd's certificates."),
    cfg.StrOpt("cert_file", default="", help="PEM file with our client certificate."),
    cfg.StrOpt("key_file", default="", help="PEM file with the client certificate's key."),
    cfg.FloatOpt(
        "timeout",
        default=5.0,
        min=0.1,
        help="Seconds after which a request gives up on etcd and is answered 503, or 504 if it may "
        "have been carried out.",
    ),
    cfg.IntOpt(
        "compaction_window",
        default=0,
        min=0,
        help="Seconds of history to keep.  One worker at a time compacts etcd so that between one "
        "and two windows remain.  0 leaves compaction to others: right for an etcd that is shared, "
        "but then somebody must do it, or etcd fills up.",
    ),
]
