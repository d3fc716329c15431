"""The files of TLS: the CA of etcd, and the certificate of the service with its key."""

from __future__ import annotations

import ssl
from pathlib import Path

from factstore.store.types import Credentials

Pem = tuple[bytes | None, bytes | None, bytes | None]
"""The CA, the key and the certificate, as gRPC takes them."""

_BEGIN = b"-----BEGIN "


class UnusableFile(ValueError):
    """A file does not contain what it should; the text names it."""


def load_files(context: ssl.SSLContext, credentials: Credentials) -> None:
    """Let a context use the files.

    :raises UnusableFile: a file cannot be read or has other contents.
    """
    ca, cert, key = credentials.ca_file, credentials.cert_file, credentials.key_file
    try:
        if ca:
            context.load_verify_locations(ca)
        else:
            context.load_default_certs()
    except OSError as error:
        raise UnusableFile(
            f"ca_file {ca} does not contain a certificate in PEM format"
            if isinstance(error, ssl.SSLError)
            else f"ca_file {ca}: {error.strerror}"
        ) from error
    try:
        if cert:
            # OpenSSL would ask for the password of a key at the terminal.
            context.load_cert_chain(cert, key or None, password="")
    except OSError as error:
        files = f"cert_file {cert} and key_file {key}"
        raise UnusableFile(
            f"{files} are not a certificate and its key in PEM format, without a password"
            if isinstance(error, ssl.SSLError)
            else f"{files}: {error.strerror}"
        ) from error


def read_files(credentials: Credentials) -> Pem:
    """Return the contents of the files.

    :raises OSError: a file cannot be read.
    :raises UnusableFile: a file has other contents; with some of these, gRPC would end the process.
    """
    names = credentials.ca_file or system_bundle(), credentials.key_file, credentials.cert_file
    ca, key, cert = (Path(name).read_bytes() if name else None for name in names)
    load_files(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), credentials)
    for name, contents in zip(names, (ca, key, cert), strict=True):
        if contents is not None and _BEGIN not in contents:  # it was being replaced
            raise UnusableFile(f"{name} is not in PEM format")
    return ca, key, cert


def system_bundle() -> str:
    """Return the file with the CAs that this machine trusts, or an empty string.

    gRPC would use a list of its own, which lacks the CAs that an operator has added.
    """
    paths = ssl.get_default_verify_paths()
    debian = Path(paths.capath or "/etc/ssl/certs", "ca-certificates.crt")
    return paths.cafile or (str(debian) if debian.is_file() else "")
