"""Reading the configuration, from files named in the environment or from oslo.config's usual places.

It imports little, because the server reads the configuration before gevent patches the standard
library.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path

from oslo_config import cfg

from factstore.conf import opts

FILES_VARIABLE = "OS_FACTSTORE_CONFIG_FILES"
"""Environment variable with the paths of configuration files, separated by ``;``."""


def read(
    files: Sequence[str] | None = None,
    register_more: Callable[[cfg.ConfigOpts], None] = lambda conf: None,
) -> cfg.ConfigOpts:
    """Return a new configuration object; oslo.config's global one is never used.

    :param files: configuration files, instead of those in :data:`FILES_VARIABLE`.
    :param register_more: registers options that must exist before the files are read.
    :raises oslo_config.cfg.Error: a file is missing or a value is invalid.
    """
    conf = cfg.ConfigOpts()
    opts.register(conf)
    register_more(conf)
    if files is None:
        files = named_files()
    chosen = list(files) or None  # with None, oslo.config searches the usual places
    conf([], project="factstore", prog="factstore-api", default_config_files=chosen)
    return conf


def named_files() -> list[str]:
    """Return the files in :data:`FILES_VARIABLE`."""
    value = os.environ.get(FILES_VARIABLE, "")
    return [name.strip() for name in value.split(";") if name.strip()]


def name_files(files: Sequence[str]) -> None:
    """Let this process and its children read these configuration files."""
    os.environ[FILES_VARIABLE] = ";".join(str(Path(name).absolute()) for name in files)


def describe(error: Exception) -> str:
    """Return what is wrong with the configuration, without its values; the subject is left out."""
    if isinstance(error, cfg.ConfigFileParseError):  # its text contains lines of the file
        return f"cannot be read: {error.config_file} has a line that is not an option"
    return f"cannot be used: {error}"


def files_read(conf: cfg.ConfigOpts) -> list[str]:
    """Return the files, and the directories with files, that :func:`read` has read."""
    return [*conf.config_file, *conf.config_dir]
