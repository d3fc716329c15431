"""Compile the messages into a package ``etcd3.etcdrpc``: ``python -m tests.etcd_messages DIRECTORY``.

It needs grpcio-tools.  A directory of ``sys.path`` makes factstore use the package, if the one that it
replaces is not installed.
"""

from __future__ import annotations

import importlib.resources
import shutil
import sys
from pathlib import Path

import grpc_tools
from grpc_tools import protoc

SOURCE = Path(__file__).with_name("etcd.proto")
_PACKAGE = """\
from etcd3.etcdrpc.etcd_pb2 import *
from etcd3.etcdrpc.etcd_pb2_grpc import *
"""


def main(directory: Path) -> None:
    package = directory / "etcd3" / "etcdrpc"
    package.mkdir(parents=True, exist_ok=True)
    copy = package / SOURCE.name
    shutil.copyfile(SOURCE, copy)
    (package.parent / "__init__.py").write_text("")
    (package / "__init__.py").write_text(_PACKAGE)
    known = importlib.resources.files(grpc_tools) / "_proto"
    arguments = [
        f"--{kind}={directory}" for kind in ("proto_path", "python_out", "grpc_python_out")
    ]
    if protoc.main(["protoc", f"-I{known}", *arguments, str(copy)]):
        raise SystemExit("protoc failed")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
