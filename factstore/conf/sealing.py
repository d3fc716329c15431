"""Options of the keys that seal sensitive facts."""

from __future__ import annotations

from oslo_config import cfg

SEALING_GROUP = cfg.OptGroup("sealing", title="The keys that seal sensitive facts")
SEALING_OPTS = [
    cfg.StrOpt(
        "key_repository",
        default="/etc/factstore/sealing-keys",
        help="Directory of the keys, which factstore rotate-keys creates and rotates.  Only the user "
        "of the service may have permission to read the directory and its files.  The directory must "
        "be the same on all API hosts.  Without keys, the service refuses sensitive facts.",
    ),
    cfg.IntOpt(
        "max_active_keys",
        default=3,
        min=3,
        help="Number of keys that factstore rotate-keys keeps: the primary key, the staged key, which "
        "becomes the next primary key, and older keys, which other hosts may use until they have the "
        "new ones.",
    ),
]
