"""The table of formats: how each is written and read."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from factstore.client import Put
from factstore.client.render import Omit, Rendering, render
from factstore.transfer import directories, inventory, key_value, texts
from factstore.transfer.document import Contents, Seal, read_document, write_document
from factstore.transfer.paths import nested

TextReader = Callable[[str, Omit], list[Put]]
FolderReader = Callable[[Mapping[str, str], Omit], list[Put]]
KeyValueWriter = Callable[[Mapping[str, Any]], str]


@dataclass(frozen=True)
class Format:
    """A format of files.

    :ivar summary: for help.
    :ivar renderer: the renderer of contexts that writes it.
    :ivar write_values: writes values by path, for formats without a renderer.
    :ivar read_text: reads a file.
    :ivar read_folder: reads the files of a directory.
    """

    summary: str
    renderer: str | None = None
    write_values: KeyValueWriter | None = None
    read_text: TextReader | None = None
    read_folder: FolderReader | None = None

    @property
    def can_write(self) -> bool:
        """True if stacks can be exported in this format."""
        return self.renderer is not None or self.write_values is not None

    @property
    def is_folder(self) -> bool:
        """True if the format is a directory."""
        return self.read_folder is not None


DOCUMENT = "json"
"""The format that keeps everything; see :mod:`.document`."""

FORMATS: Mapping[str, Format] = {
    "yaml": Format("nested values", "yaml", read_text=texts.read_yaml),
    "env": Format("variables of a shell", "env", read_text=texts.read_env),
    "hosts": Format("/etc/hosts", "hosts", read_text=texts.read_hosts),
    "facter": Format("external facts of Facter", "facter", read_text=texts.read_facter),
    "ansible-inventory": Format(
        "an inventory of Ansible", "ansible", read_text=inventory.read_inventory
    ),
    "chef-data-bags": Format(
        "a directory of data bags", "data-bags", read_folder=directories.read_data_bags
    ),
    "hiera": Format("a directory of Hiera's data", read_folder=directories.read_hiera),
    "consul-kv": Format(
        "the output of consul kv export",
        write_values=key_value.write_consul,
        read_text=key_value.read_consul,
    ),
    "etcd": Format(
        "the output of etcdctl get --prefix -w json",
        write_values=key_value.write_etcd,
        read_text=key_value.read_etcd,
    ),
}
"""All formats but that of whole stacks, by name."""

EXPORTS = (DOCUMENT, *(name for name, each in FORMATS.items() if each.can_write))
IMPORTS = (DOCUMENT, *FORMATS)


def write(
    name: str,
    contents: Contents,
    context: Mapping[str, Any],
    *,
    seal: Seal | None = None,
    omit: Omit,
) -> Rendering:
    """Return a stack in a format: one text, or several by their paths.

    :param context: the stack's context, of which renderers make hosts and groups.
    :param omit: called with each fact that the format cannot contain.
    """
    if seal is None:
        for path in contents.omitted:
            omit(path, "is sensitive, and no key is given")
    if name == DOCUMENT:
        return write_document(contents, seal)
    chosen = FORMATS[name]
    values = {put.path: put.value for put in contents.facts if not put.sensitive}
    if chosen.write_values is not None:
        return chosen.write_values(values)
    # The nested facts alone: a context also has its members, which are not facts.
    document = {**context, "facts": nested(values)}
    if name == "yaml":
        from factstore.client.render.yaml import as_yaml

        return as_yaml(document["facts"])
    return render(chosen.renderer or name, document, omit)


def read(
    name: str, source: str | Mapping[str, str], *, seal: Seal | None = None, omit: Omit
) -> Contents:
    """Return the facts in a file or, for a format that is a directory, in its files.

    :raises ValueError: the source does not have this format.
    """
    if name == DOCUMENT:
        if not isinstance(source, str):
            raise ValueError("is a directory")
        return read_document(source, seal, omit)
    chosen = FORMATS[name]
    if chosen.read_folder is not None:
        if isinstance(source, str):
            raise ValueError("is not a directory")
        return Contents("", tuple(chosen.read_folder(source, omit)))
    if not isinstance(source, str) or chosen.read_text is None:
        raise ValueError("is a directory")
    return Contents("", tuple(chosen.read_text(source, omit)))
