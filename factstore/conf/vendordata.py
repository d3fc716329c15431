"""Options of the vendor data for Nova's servers."""

from __future__ import annotations

from oslo_config import cfg

VENDORDATA_GROUP = cfg.OptGroup("vendordata", title="Vendor data for servers of Nova")
VENDORDATA_OPTS = [
    cfg.StrOpt(
        "url",
        default="",
        help="URL of the service for servers, such as https://controller:8796.  Servers must be able "
        "to reach it.  By default, it is the URL to which Nova sends its requests.",
    ),
    cfg.StrOpt(
        "cacert",
        default="",
        help="File with the CA certificates, in PEM, with which servers verify the service.  By "
        "default, servers use the certificates of their image.",
    ),
]
