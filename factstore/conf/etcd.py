"""Options of the store."""

from __future__ import annotations

import re

from oslo_config import cfg, types


class Endpoint(types.String):
    """The URL of an endpoint."""

    def __call__(self, value: object) -> str:
        """Return the URL. Raises ValueError, whose text oslo.config reports."""
        text = str(value)
        if not re.fullmatch(r"https?://(\[[0-9A-Fa-f:.]+\]|[^\s/:@\[\]]+)(:[0-9]{1,5})?", text):
            shown = text.rpartition("@")[2]  # without a password
            raise ValueError(f"{shown!r} is not http://HOST:PORT or https://HOST:PORT")
        return text


ETCD_GROUP = cfg.OptGroup("etcd", title="The etcd cluster that stores the facts")
ETCD_OPTS = [
    cfg.ListOpt(
        "endpoints",
        item_type=Endpoint(),
        default=["http://127.0.0.1:2379"],
        help="Client URLs of the etcd members, with http:// or https://.  If a member does not answer, "
        "a worker uses the next one.",
    ),
    cfg.BoolOpt(
        "spread",
        default=True,
        help="Let each worker begin with an endpoint chosen at random, so that the workers do not all "
        "depend on the same member.  With false, all begin with the first endpoint.",
    ),
    cfg.StrOpt(
        "root",
        default="/factstore/v1",
        regex=r"(/[A-Za-z0-9_.-]+)+",
        help="Key below which the service stores all its keys.",
    ),
    cfg.StrOpt("username", default="", help="Name of the etcd user; empty for no authentication."),
    cfg.StrOpt("password", default="", secret=True, help="Password of the etcd user."),
    cfg.StrOpt(
        "ca_file",
        default="",
        help="PEM file with the CA certificate that signed those of etcd; empty for the CAs that the "
        "host trusts.  This file and the next two can be replaced while the service runs.",
    ),
    cfg.StrOpt("cert_file", default="", help="PEM file with the client certificate."),
    cfg.StrOpt(
        "key_file",
        default="",
        help="PEM file with the key of the client certificate, without a password.",
    ),
    cfg.FloatOpt(
        "timeout",
        default=5.0,
        min=0.1,
        help="Number of seconds for which a request waits for etcd.  After that it fails with status "
        "503, or with 504 if etcd may have carried it out.",
    ),
    cfg.BoolOpt(
        "fast_calls",
        default=True,
        help="Send writes, renewals of leases and reads of the newest revision on an HTTP/2 connection "
        "of the worker's own, and receive changes on it, which needs less processor time than the "
        "library gRPC.  What such a connection cannot do, and all other calls, use gRPC.",
    ),
    cfg.IntOpt(
        "compaction_window",
        default=0,
        min=0,
        help="Number of seconds of history to keep.  The workers take turns to compact etcd, so that "
        "between one and two windows of history remain.  With 0 they do not compact it.  This is "
        "right for a shared etcd, but then it must be compacted in another way, or it fills up.",
    ),
]
