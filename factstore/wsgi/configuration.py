"""Reading the configuration, from files named in the environment or from oslo.config's usual places.

It imports little, because the server reads the configuration before gevent patches the standard
library.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from oslo_config import cfg

from factstore.conf import limits, opts

FILES_VARIABLE = "OS_FACTSTORE_CONFIG_FILES"
"""Environment variable with the paths of configuration files, separated by ``;``."""

ERRORS = (cfg.Error, OSError, UnicodeDecodeError)
"""The errors of :func:`read`, and of reading an option; :func:`describe` words them."""


def read(
    files: Sequence[str] | None = None,
    register_more: Callable[[cfg.ConfigOpts], None] = lambda conf: None,
) -> cfg.ConfigOpts:
    """Return a new configuration object; oslo.config's global one is never used.

    :param files: configuration files, instead of those in :data:`FILES_VARIABLE`.
    :param register_more: registers options that must exist before the files are read.
    :raises oslo_config.cfg.Error: a file is missing, or a value is not valid.
    :raises UnicodeDecodeError: a file is not text in UTF-8.
    """
    conf = cfg.ConfigOpts()
    opts.register(conf)
    register_more(conf)
    if files is None:
        files = named_files()
    chosen = list(files) or None  # with None, oslo.config searches the usual places
    printed = io.StringIO()
    try:
        with contextlib.redirect_stderr(printed):
            conf([], project="factstore", prog="factstore-api", default_config_files=chosen)
    except SystemExit:
        # Options that could be arguments, like debug, are read as such, and argparse ends the process.
        raise cfg.ConfigFileValueError(_argument_error(printed.getvalue())) from None
    check_values(conf)
    return conf


def check_values(conf: cfg.ConfigOpts) -> None:
    """Read all options, because oslo.config notices a wrong value only when it is read.

    :raises oslo_config.cfg.ConfigFileValueError: a value is not valid; the text names its option.
    """
    for group, options in opts.list_opts():
        name = group.name if group else "DEFAULT"
        _check(conf[name] if group else conf, name, options)
    for name in conf.list_all_sections():
        if name.startswith(limits.PREFIX):
            conf.register_opts(limits.LIMITS_OPTS, group=name)
            _check(conf[name], name, limits.LIMITS_OPTS)


def _check(section: Any, name: str, options: Sequence[cfg.Opt]) -> None:
    for option in options:
        try:
            section[option.dest]
        except cfg.ConfigFileValueError as error:
            reason = error.__context__ or "the value is not valid"
            raise cfg.ConfigFileValueError(f"[{name}] {option.name}: {reason}") from None


def _argument_error(printed: str) -> str:
    """Return what argparse has printed about an option of ``[DEFAULT]``."""
    text = printed.strip()
    found = re.search(r"argument --(\S+): (.*)\Z", text)
    return f"[DEFAULT] {found[1].replace('-', '_')}: {found[2]}" if found else text


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
    if isinstance(error, UnicodeDecodeError):
        line = error.object.count(b"\n", 0, error.start) + 1
        return f"cannot be read: line {line} of a file is not text in UTF-8; save the file as UTF-8"
    if isinstance(error, OSError) and error.filename is not None:
        return f"cannot be used: {error.filename}: {error.strerror}"
    return f"cannot be used: {' '.join(str(error).split())}"


def files_read(conf: cfg.ConfigOpts) -> list[str]:
    """Return the files, and the directories with files, that :func:`read` has read."""
    return [*conf.config_file, *conf.config_dir]
