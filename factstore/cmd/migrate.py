"""``factstore-migrate``: rewrite Heat templates that keep facts in launch configurations.

Such a launch configuration launches nothing: only its metadata are used. The program replaces it by
OS::FactStore resources, and replaces what instances read it with by a grant. Launch configurations
that groups launch stay as they are.
"""

from __future__ import annotations

import argparse
import difflib
import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from factstore.client.program_output import run_program
from factstore.cmd.errors import CommandError

DONE, LEFT, NOT_A_TEMPLATE = 0, 1, 2


def main(argv: Sequence[str] | None = None) -> int:
    """Rewrite the templates in ``argv`` and return the exit status."""

    def rewrite() -> int:
        args = make_parser().parse_args(argv)
        try:
            return run(args)
        except CommandError as error:
            print(f"factstore-migrate: {error}", file=sys.stderr)
            return error.status
        except KeyboardInterrupt:
            return 130  # as shells do

    return run_program("factstore-migrate", rewrite)


def make_parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    parser = argparse.ArgumentParser(
        prog="factstore-migrate",
        description="Rewrite Heat templates that keep facts in the metadata of launch configurations.",
        epilog="The exit status is 0 if everything is rewritten, 1 if something is left that you have "
        "to rewrite, and 2 if a file is not a template. What is left is printed with file and line.",
    )
    parser.add_argument(
        "templates",
        nargs="+",
        metavar="TEMPLATE",
        help="a template in YAML or JSON; - for standard input. Give the fragments of one template "
        "together.",
    )
    output = parser.add_mutually_exclusive_group()
    output.add_argument("--in-place", action="store_true", help="rewrite the files")
    output.add_argument(
        "--check",
        action="store_true",
        help="print only what there is to rewrite; the exit status is 1 if there is anything",
    )
    output.add_argument("--diff", action="store_true", help="print the differences only")
    parser.add_argument(
        "--facts",
        action="store_true",
        help="also write the facts that are known already to the running service that the OS_* "
        "variables name",
    )
    parser.add_argument(
        "--stack",
        metavar="NAME",
        help="the stack for --facts; the default is the file's name without its extension",
    )
    parser.add_argument(
        "--parameter",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="a parameter's value for --facts; the default is the one in the template",
    )
    return parser


def run(args: argparse.Namespace) -> int:
    """Rewrite, print or report, and return the exit status. Raises CommandError."""
    try:
        from factstore.migrate import NotATemplate, Template, rewrite_all
    except ImportError as error:
        raise CommandError(
            "PyYAML is missing. Install openstack-factstore[migrate].", NOT_A_TEMPLATE
        ) from error
    if args.facts and args.stack is not None:
        _check_stack(args.stack)  # before a file is rewritten
    texts: dict[str, str] = {}
    known: set[str] = set()
    status = DONE
    for name in args.templates:
        try:
            texts[name] = _read(name)
            known |= Template(texts[name].removeprefix("\ufeff")).parameters
        except NotATemplate as error:
            texts.pop(name)
            status = NOT_A_TEMPLATE
            _report(name, error.line, str(error))
        except (OSError, UnicodeDecodeError) as error:
            status = NOT_A_TEMPLATE
            reason = "is not UTF-8" if isinstance(error, UnicodeDecodeError) else error.strerror
            print(f"{name}: {reason}", file=sys.stderr)
    given = _given(args.parameter, known) if texts else {}
    results = rewrite_all(texts, _read_beside)
    for name, result in results.items():
        changed = result.text != texts[name]
        if result.fragment is not None and (changed or result.findings):
            print(
                f"{name}: this is a fragment: {result.fragment}. It was rewritten as far as its text "
                "allows.",
                file=sys.stderr,
            )
        for finding in result.findings:
            _report(name, finding.line, finding.reason)
        if args.check and changed:
            for bag in result.plan.bags.values():
                line = bag.resource.entry.key.line + 1
                _report(name, line, f"{bag.name} keeps facts and can be rewritten")
        left = not result.is_complete or (args.check and changed)
        status = max(status, LEFT if left else DONE)
        _write(args, name, texts[name], result.text, len(args.templates) > 1)
    if args.facts:
        from factstore.cmd.migrate_facts import write_facts

        write_facts(args.stack, given, results)
    return status


def _check_stack(name: str) -> None:
    from factstore.client.errors import BadRequest
    from factstore.client.urls import stack_url

    try:
        stack_url(name)
    except BadRequest as error:
        raise CommandError(f"--stack: {error}", NOT_A_TEMPLATE) from error


def _given(pairs: Sequence[str], known: set[str]) -> dict[str, str]:
    """Return the values of parameters by name, all of which a template has."""
    given = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals:
            raise CommandError(f"--parameter {pair!r} is not NAME=VALUE", NOT_A_TEMPLATE)
        if name not in known:
            those = f"it has {', '.join(sorted(known))}" if known else "it has none"
            raise CommandError(
                f"--parameter {name}: the template has no parameter {name!r}; {those}",
                NOT_A_TEMPLATE,
            )
        given[name] = value
    return given


def _report(name: str, line: int, reason: str) -> None:
    print(f"{name}:{line}: {reason}", file=sys.stderr)


def _read(name: str) -> str:
    data = sys.stdin.buffer.read() if name == "-" else Path(name).read_bytes()
    return data.decode("utf-8")  # with the line breaks of the file


def _read_beside(template: str, name: str) -> str | None:
    """Return the text of a file that a template names; None if it is elsewhere or not readable."""
    path = name.removeprefix("file://")
    try:
        return (Path(template).parent / path).read_text("utf-8")
    except (OSError, ValueError):
        return None


def _write(args: argparse.Namespace, name: str, old: str, new: str, many: bool) -> None:
    if args.check:
        return
    if args.in_place and name != "-":
        if new != old:
            _replace(Path(name), new)
    elif args.diff:
        lines = difflib.unified_diff(
            old.splitlines(keepends=True), new.splitlines(keepends=True), name, name
        )
        _print("".join(_ended(line) for line in lines))
    else:
        _print((f"==> {name} <==\n" if many else "") + new)


def _ended(line: str) -> str:
    return line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n"


def _print(text: str) -> None:
    sys.stdout.buffer.write(text.encode())  # the template is UTF-8, whatever the locale is
    sys.stdout.buffer.flush()


def _replace(path: Path, text: str) -> None:
    """Replace a file at once, through symbolic links, and keep its mode."""
    path = path.resolve()
    try:
        mode = path.stat().st_mode
        descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(text.encode())
            os.chmod(temporary, mode & 0o7777)
            os.replace(temporary, path)
        except BaseException:
            os.unlink(temporary)
            raise
    except OSError as error:
        raise CommandError(f"{path} cannot be written: {error.strerror}", LEFT) from error


if __name__ == "__main__":
    sys.exit(main())
