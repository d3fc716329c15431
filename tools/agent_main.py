"""The beginning of the agent's file; :mod:`agent_zipapp` puts it there as ``__main__``.

Python compiles modules in an archive at each start, which takes half a second and some memory that it
keeps.  Therefore root's agent unpacks the archive once, beside the compiled modules.  Without this
directory, the agent runs from the archive.
"""

# An old Python has to get as far as the message, so nothing newer may be used here.
import os
import stat
import sys

BUILD = "@BUILD@"  # names the content of the archive
CACHE = "/var/cache/factstore-agent"


def check_version(version):
    """Exit with a message if this Python is too old."""
    if version < (3, 9):
        found = ".".join(map(str, version[:3]))
        sys.exit("factstore-agent: this is Python %s; Python 3.9 or newer is required." % found)


def unpacked(archive, cache):
    """Return the directory with the unpacked archive, made if necessary; None if it cannot be used."""
    folder = os.path.join(cache, BUILD)
    if not os.path.isdir(folder):
        child = os.fork()  # what it imports takes no memory here
        if not child:
            try:
                _unpack(archive, folder)
            except OSError:  # such as a file system that is read-only or full
                pass
            finally:
                os._exit(0)
        os.waitpid(child, 0)
    return folder if _is_own(cache) and _is_own(folder) else None


def _is_own(folder):
    """Return True if nobody else can have put modules into a directory."""
    try:
        found = os.lstat(folder)
    except OSError:
        return False
    mode = found.st_mode
    return stat.S_ISDIR(mode) and found.st_uid == os.geteuid() and not mode & 0o022


def _unpack(archive, folder):
    import compileall
    import shutil
    import tempfile
    import zipfile

    cache = os.path.dirname(folder)
    os.makedirs(cache, 0o755, exist_ok=True)
    partial = tempfile.mkdtemp(dir=cache)
    try:
        with zipfile.ZipFile(archive) as contents:
            contents.extractall(partial)
        compileall.compile_dir(partial, quiet=2, stripdir=partial, prependdir=folder)
        os.sync()  # after a crash, the directory is complete or does not exist
        os.rename(partial, folder)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    # Agents of the previous build may still import modules.
    known = sorted(os.scandir(cache), key=lambda entry: entry.stat().st_mtime)
    for entry in known[:-2]:
        shutil.rmtree(entry.path, ignore_errors=True)


if __name__ == "__main__":
    check_version(sys.version_info)
    if os.geteuid() == 0 and not sys.flags.dont_write_bytecode:
        place = unpacked(sys.path[0], CACHE)
        if place is not None:
            sys.path.insert(0, place)

    from factstore.agent.cli import main

    sys.exit(main())
