"""The page about the commands ``openstack fact ...``, made from their parsers.

``python -m tests.docs.openstack_commands`` writes it.  Run this after a change of a command.
"""

from __future__ import annotations

import argparse
import inspect
import sys
from importlib.metadata import entry_points
from unittest.mock import Mock

from factstore.osc.display import Command, Lister, ShowOne
from tests.docs.pages import DOC

GROUP = "openstack.contextualization.v1"
PAGE = DOC / "reference" / "openstack-client.rst"

HEADING = """\
=======================
openstack fact commands
=======================

.. Written by python -m tests.docs.openstack_commands. Do not edit.

OpenStackClient has these commands after ``pip install '.[osc]'`` in a checkout of the source.
:doc:`/how-to/openstack-client` shows how to use them. ``openstack help fact set`` prints the same
information as this page.

Commands that show one resource or a list have ``-f json|yaml|value|table`` and ``-c COLUMN``, as all
commands of OpenStackClient. In a table, control characters are escaped and long values of lists are
cut; the other formats show values unchanged. With ``-f value``, text is printed bare, and any other
value as JSON.

If a command fails, its exit status is 1, and the error is that of the service. Commands that wait have
the status 2 if time ran out. The status is 2 after a wrong command line, too, and 130 after Ctrl-C.
"""


def commands() -> dict[str, type[Command]]:
    """Return the classes of the commands by name, such as ``fact set``."""
    found = sorted(entry_points(group=GROUP), key=lambda point: point.name)
    return {
        point.name.replace("_", " "): point.load()
        for point in found
        if point.module.startswith("factstore.")
    }


def page() -> str:
    """Return the page."""
    return "\n".join([HEADING, *(_section(name, each) for name, each in commands().items())])


def _section(name: str, command: type[Command]) -> str:
    parser = argparse.ArgumentParser(add_help=False)
    command(Mock(), None).add_arguments(parser)
    actions = parser._actions
    positional = [_positional(action) for action in actions if not action.option_strings]
    required = [_option(action) for action in actions if action.option_strings and action.required]
    options = ["[options]"] if len(required) < len(actions) - len(positional) else []
    usage = " ".join(["openstack", name, *options, *required, *positional])
    text = inspect.getdoc(command) or ""
    summary, _, description = text.partition("\n\n")
    printed = {ShowOne: "one resource", Lister: "a list"}
    output = [f"Prints {text}." for kind, text in printed.items() if issubclass(command, kind)]
    parts = [
        f".. program:: openstack {name}",
        f"{name}\n{'=' * len(name)}",
        " ".join([f"{summary}.", *output]),
        *([description] if description else []),
        f"::\n\n   {usage}",
        *(_entry(action) for action in actions),
    ]
    return "\n\n".join(parts) + "\n"


def _entry(action: argparse.Action) -> str:
    shown = _option(action) if action.option_strings else str(action.metavar)
    return f".. option:: {shown}\n\n   {_escaped(action.help or '')}."


def _option(action: argparse.Action) -> str:
    """Return an option as a reader types it."""
    name = ", ".join(action.option_strings)
    if action.nargs == 0:
        return name
    choices = "{" + ",".join(map(str, action.choices or ())) + "}"
    several = isinstance(action.metavar, tuple)
    metavar = " ".join(action.metavar or ()) if several else action.metavar
    return f"{name} {metavar or choices}"


def _positional(action: argparse.Action) -> str:
    forms = {"+": f"{action.metavar} [{action.metavar} ...]", "?": f"[{action.metavar}]"}
    return forms.get(str(action.nargs), str(action.metavar))


def _escaped(text: str) -> str:
    return text.replace("%%", "%").replace("*", "\\*")


if __name__ == "__main__":
    PAGE.write_text(page())
    sys.stdout.write(f"{PAGE}\n")
