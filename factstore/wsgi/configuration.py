"""Reading the configuration: files named by the environment, else the usual places.

It imports next to nothing, because the server reads it before it makes threads into greenlets.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence

from oslo_config import cfg

from factstore.conf import opts

FILES_VARIABLE = "OS_FACTSTORE_CONFIG_FILES"
"""Paths of configuration files, joined by ``;``."""


def read(
    files: Sequence[str] | None = None,
    register_more: Callable[[cfg.ConfigOpts], None] = lambda conf: None,
) -> cfg.ConfigOpts:
    """A configuration object of its own; nothing of ours looks at the global one.

    :param files: instead of those that :data:`FILES_VARIABLE` names.
    :param register_more: makes further options known; some must be before the files are read.
    :raises oslo_config.cfg.Error: a file is missing or a value is wrong.
    """
    conf = cfg.ConfigOpts()
    opts.register(conf)
    register_more(conf)
    if files is None:
        named = os.environ.get(FILES_VARIABLE, "")
        files = [name.strip() for name in named.split(";") if name.strip()]
    chosen = list(files) or None  # None looks in the usual places
    conf([], project="factstore", prog="factstore-api", default_config_files=chosen)
    return conf
