"""Options of the keys that seal sensitive facts."""

from __future__ import annotations

from oslo_config import cfg

SEALING_GROUP = cfg.OptGroup("sealing", title="The keys that seal sensitive facts")
SEALING_OPTS = [
    cfg.StrOpt(
        "key_repository",
        default="/etc/factstore/sealing-keys",
        help="Directory of the keys, which factstore rotate-keys makes and changes.  It and what is "
        "in it must be readable by the service's user alone, and the same on all API hosts.  Without "
        "keys the service takes no sensitive facts.",
    ),
    cfg.IntOpt(
        "max_active_keys",
        default=3,
        min=3,
        help="How many keys factstore rotate-keys leaves: the primary one, the staged one that will "
        "be next, and older ones, which other hosts may still use until they have the new ones.",
    ),
]
