"""``python -m bench``: run all parts, or the named ones, and print the figures."""

from __future__ import annotations

import argparse
import resource
import sys
import time
import traceback

from bench import load, pages, quiet
from bench.labs import Labs
from bench.parts import PARTS, Sizes
from bench.report import Report

PATIENCE, SHORT_PATIENCE = 20.0, 2.0  # seconds in which the processes of the last part come to rest


def main() -> int:
    """Run the benchmark; return 0 on success."""
    sizes = Sizes()
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    for name, default in vars(sizes).items():
        parser.add_argument(
            f"--{name}", type=type(default), default=default, help="(default: %(default)s)"
        )
    parser.add_argument(
        "--write", action="store_true", help="write bench/RESULTS.md, the plots and README.md, too"
    )
    parser.add_argument(
        "parts", nargs="*", metavar="PART", help=f"parts to run, of {', '.join(PARTS)}"
    )
    args = vars(parser.parse_args())
    write, names = args.pop("write"), args.pop("parts") or list(PARTS)
    wrong = set(names) - PARTS.keys()
    if wrong:
        parser.error(f"no part is named {', '.join(sorted(wrong))}")
    if load.find_wrk() is None:
        sys.stderr.write("bench: wrk is missing; install the package wrk\n")
        return 1
    # Each watcher is a file descriptor here and one in the worker, which inherits the limit.
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    failed = []
    with Labs() as labs:
        report = Report(labs.unguarded.etcd.version())
        for name in names:
            share = quiet.wait(PATIENCE if write else SHORT_PATIENCE)
            if share > quiet.MOST:
                sys.stderr.write(
                    f"bench: other programs use {share:.0%} of the processors, so the figures of "
                    f"{name} are wrong{' and not taken' if write else ''}\n"
                )
                if write:
                    failed.append(name)
                    continue
            began = time.monotonic()
            report.part(name, share)
            try:
                PARTS[name](labs, report, Sizes(**args))
            except Exception:  # noqa: BLE001 - the other parts have to run
                traceback.print_exc()
                failed.append(name)
                report.drop(name)
                continue
            report.took(time.monotonic() - began)
            if write:
                found = report.all_parts()
                pages.write({part: found[part] for part in PARTS if part in found})
    if failed:
        sys.stderr.write(f"bench: these parts failed or were not measured: {', '.join(failed)}\n")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
