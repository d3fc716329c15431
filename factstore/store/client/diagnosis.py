"""Why an endpoint of etcd cannot be used, in words for operators.

gRPC reports failed TLS handshakes in the words of its library, which differ between versions and are
the same for different causes.  So this module connects again with the standard library.  It is for
commands and logs after a failure, not for requests.
"""

from __future__ import annotations

import socket
import ssl
from urllib.parse import urlsplit

from factstore.store.client.tls import UnusableFile, load_files
from factstore.store.types import Credentials

# The first bytes that an HTTP/2 client sends, with empty settings. The server returns its own settings.
_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0\0\0\4\0\0\0\0\0"
_SETTINGS = b"\4"

# OpenSSL's codes of verification errors.
_NOT_YET_VALID, _EXPIRED = 9, 10
_UNKNOWN_ISSUER = (2, 18, 19, 20, 21)
_WRONG_NAME, _WRONG_ADDRESS = 62, 64

ACCEPTS_CONNECTIONS = "it accepts connections, but the cluster may have no leader"
REQUIRES_TLS = "it requires TLS: write https:// in [etcd] endpoints"
WITHOUT_TLS = "it does not use TLS: write http:// in [etcd] endpoints, or enable TLS in etcd"
NOT_ETCD = "it does not answer as etcd does: check host and port in [etcd] endpoints"


def diagnose(url: str, credentials: Credentials, timeout: float) -> str:
    """Return the reason why an endpoint cannot be used.

    :param timeout: seconds for each connection; there are at most two.
    """
    parts = urlsplit(url)
    address = (parts.hostname or "", parts.port or 443)  # the default of gRPC
    try:
        if parts.scheme == "https":
            return _diagnose_tls(address, credentials, timeout)
        return _diagnose_plain(address, timeout)
    except TimeoutError:
        return "it does not answer"
    except socket.gaierror:
        return f"the name {address[0]} cannot be resolved"
    except OSError as error:
        return (error.strerror or str(error)).lower()


def _diagnose_plain(address: tuple[str, int], timeout: float) -> str:
    if _speaks_http2(address, timeout):
        return ACCEPTS_CONNECTIONS
    unchecked = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    unchecked.check_hostname, unchecked.verify_mode = False, ssl.CERT_NONE
    try:
        _speaks_http2(address, timeout, unchecked)
    except ssl.SSLError as error:
        return REQUIRES_TLS if _is_alert(error) else NOT_ETCD
    except OSError:
        return NOT_ETCD
    return REQUIRES_TLS


def _diagnose_tls(address: tuple[str, int], credentials: Credentials, timeout: float) -> str:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.set_alpn_protocols(["h2"])
    try:
        load_files(context, credentials)
    except UnusableFile as error:
        return str(error)
    try:
        return ACCEPTS_CONNECTIONS if _speaks_http2(address, timeout, context) else NOT_ETCD
    except ssl.SSLCertVerificationError as error:
        return _certificate_error(error, address[0], credentials.ca_file)
    except ssl.SSLError as error:
        if not _is_alert(error):
            return WITHOUT_TLS
    except ConnectionResetError:
        return WITHOUT_TLS
    if not credentials.cert_file:
        return "it requires a client certificate: set cert_file and key_file in [etcd]"
    return (
        f"it refuses the client certificate in cert_file {credentials.cert_file}: the certificate has"
        " expired, or etcd does not trust its CA"
    )


def _certificate_error(error: ssl.SSLCertVerificationError, host: str, ca_file: str) -> str:
    if error.verify_code in (_WRONG_NAME, _WRONG_ADDRESS):
        return f"its certificate is not valid for {host}: use a name that the certificate contains"
    if error.verify_code == _EXPIRED:
        return "its certificate has expired"
    if error.verify_code == _NOT_YET_VALID:
        return "its certificate is not valid yet: check the clocks of both machines"
    if error.verify_code in _UNKNOWN_ISSUER:
        if ca_file:
            return f"its certificate is not from ca_file {ca_file}"
        return "its certificate is not from a public CA: set ca_file in [etcd]"
    return f"its certificate is not valid: {error.verify_message}"


def _is_alert(error: ssl.SSLError) -> bool:
    """Return True if the server ended the connection with an alert of TLS."""
    return "ALERT" in (error.reason or "")


def _speaks_http2(
    address: tuple[str, int], timeout: float, context: ssl.SSLContext | None = None
) -> bool:
    """Connect, and return True if the server answers the start of HTTP/2.

    In TLS 1.3 a server refuses the client's certificate only after the handshake.

    :raises OSError: also the errors of TLS and TimeoutError, which are subclasses.
    """
    with socket.create_connection(address, timeout) as plain:
        if context is None:
            connection: socket.socket = plain
        else:
            connection = context.wrap_socket(plain, server_hostname=address[0])
        with connection:
            connection.sendall(_PREFACE)
            return connection.recv(9)[3:4] == _SETTINGS
