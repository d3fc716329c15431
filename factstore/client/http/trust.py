"""Trust in servers: the CAs that issue their certificates, and the certificate of the client.

Without a file of CAs, those of the system are trusted.  Interpreters that were not built for this
system do not know where they are, so the usual places are tried, too.
"""

from __future__ import annotations

import codecs
import os
import re
import ssl
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass

from factstore.client.http.failures import Untrusted

BUNDLE_VARIABLES = ("OS_CACERT", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE")
SYSTEM_BUNDLES = (
    "/etc/ssl/certs/ca-certificates.crt",  # Debian, Ubuntu, Arch
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",  # RHEL, Rocky, Fedora
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",  # SUSE
    "/etc/ssl/cert.pem",  # Alpine
)
_HASHED = re.compile(r"[0-9a-f]{8}\.[0-9]+")
_PARTIAL_CHAIN = 0x80000  # ssl.VERIFY_X509_PARTIAL_CHAIN of Python 3.10


class BadCertificates(Untrusted):
    """A file with certificates cannot be used."""


@dataclass(frozen=True)
class Certificates:
    """A file or directory of CAs.

    :param source: the option or variable that names it, for errors.
    """

    path: str
    source: str

    def load_into(self, context: ssl.SSLContext) -> None:
        """Trust the CAs.

        :raises BadCertificates: there are none.
        """
        try:
            if os.path.isdir(self.path):
                if not any(map(_HASHED.fullmatch, os.listdir(self.path))):
                    raise self._bad(
                        "is a directory without hashed certificates. Run 'openssl rehash' on it, or"
                        " name a file"
                    )
                context.load_verify_locations(capath=self.path)
                return
            with open(self.path, "rb") as file:
                data = file.read()
        except OSError as error:
            raise self._bad(f"cannot be read: {error.strerror}") from error
        if data.startswith(codecs.BOM_UTF8):  # OpenSSL would skip the first certificate
            raise self._bad("begins with a byte order mark. Save it without one")
        if not data.strip():
            raise self._bad("is empty. It must contain the CA's certificate as PEM")
        try:
            if b"-----BEGIN" not in data:
                raise ValueError("no PEM")
            context.load_verify_locations(cafile=self.path)
        except (ssl.SSLError, ValueError) as error:
            text = "contains no CA certificate as PEM"
            raise self._bad(f"{text}, which begins with -----BEGIN CERTIFICATE-----") from error

    def _bad(self, text: str) -> BadCertificates:
        return BadCertificates(f"The CA file {self.path} ({self.source}) {text}.")


def _stamp(path: str) -> tuple[int, ...]:
    """Return numbers that change with a file."""
    try:
        found = os.stat(path)
    except OSError:
        return ()
    return (found.st_ino, found.st_size, found.st_mtime_ns)


def certificates_in(environ: Mapping[str, str]) -> Certificates | None:
    """Return the certificates that the environment names, or None for those of the system."""
    for name in BUNDLE_VARIABLES:
        if environ.get(name):
            return Certificates(environ[name], name)
    return None


def system_certificates() -> Certificates | None:
    """Return the certificates of the system, or None if none are found."""
    paths = ssl.get_default_verify_paths()
    places = (paths.openssl_cafile, *SYSTEM_BUNDLES)
    directory = os.environ.get("SSL_CERT_DIR") or paths.openssl_capath
    # A directory is read as far as it is needed, which saves memory: it comes first.
    try:
        if any(map(_HASHED.fullmatch, os.listdir(directory))):
            return Certificates(directory, "the system's CAs")
    except OSError:
        pass
    found = next((place for place in places if os.path.isfile(place)), None)
    return None if found is None else Certificates(found, "the system's CAs")


class Trust:
    """The certificates with which servers are verified.

    The files are read again when they have changed, so that a running program notices new ones.

    :param certificates: the CAs to trust; None for those of the system.
    :param verify: False to accept every certificate.
    :param client: files with the client's own certificate and its key; the key may be in the same.
    :param option: the setting that chooses the CAs, for errors.
    """

    def __init__(
        self,
        certificates: Certificates | None = None,
        *,
        verify: bool = True,
        client: tuple[str, str | None] | None = None,
        option: str = "cacert (OS_CACERT)",
    ) -> None:
        self._certificates = certificates
        self._verify = verify
        self._client = client
        self._option = option
        self._lock = threading.Lock()
        self._context: ssl.SSLContext | None = None
        self._stamp: tuple[tuple[int, ...], ...] = ()

    def context(self) -> ssl.SSLContext:
        """Return the context of TLS connections.

        :raises BadCertificates: a file of certificates cannot be used.
        """
        with self._lock:
            found = self._certificates or system_certificates()
            files = (found.path if found is not None else None, *(self._client or ()))
            stamp = tuple(_stamp(file) for file in files if file)
            if self._context is None or stamp != self._stamp:
                self._context, self._stamp = self._new_context(found), stamp
            return self._context

    def bundle(self) -> bool | str:
        """Return the same for requests: a path, or False to accept every certificate."""
        found = self._certificates or system_certificates()
        return self._verify and (True if found is None else found.path)

    def client(self) -> tuple[str, str] | str | None:
        """Return the files with the client's certificate for requests."""
        if self._client is None:
            return None
        certificate, key = self._client
        return certificate if key is None else (certificate, key)

    def problem(self, error: ssl.SSLError) -> str:
        """Return the cause of a failed handshake and the remedy, as the end of a sentence."""
        code = getattr(error, "verify_code", None)
        text = getattr(error, "verify_message", None) or error.reason or str(error)
        if not isinstance(error, ssl.SSLCertVerificationError):
            if error.reason in ("WRONG_VERSION_NUMBER", "HTTP_REQUEST", "RECORD_LAYER_FAILURE"):
                return (
                    f"the server does not use TLS on this port ({text}). Use an http:// URL, or the"
                    " port for TLS."
                )
            return f"the TLS handshake failed: {text}."
        if code in (9, 10):  # X509_V_ERR_CERT_NOT_YET_VALID, X509_V_ERR_CERT_HAS_EXPIRED
            now = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime())
            remedy = (
                f"It is {now} UTC by the clock of this machine: correct the clock, or renew the"
                " certificate"
            )
        elif code in (62, 63, 64):  # X509_V_ERR_HOSTNAME_MISMATCH and those of other kinds of names
            remedy = (
                "Use a name of the certificate in the URL, or issue a certificate for this name"
            )
        else:
            found = self._certificates or system_certificates()
            place = "nowhere" if found is None else f"{found.path} ({found.source})"
            remedy = (
                f"Its CA was looked for in {place}. Set {self._option} to a file with the CA of the"
                " service, or add that CA to the system's CAs"
            )
        return f"certificate verify failed: {text.rstrip('.')}. {remedy}."

    def _new_context(self, found: Certificates | None) -> ssl.SSLContext:
        # Not create_default_context(): Python 3.13 refuses there what many private CAs issue.
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.set_alpn_protocols(["http/1.1"])
        context.verify_flags |= ssl.VerifyFlags(_PARTIAL_CHAIN)
        if not self._verify:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        elif found is None:
            raise BadCertificates(
                "No CA certificates of the system were found. Install ca-certificates, or set"
                f" {self._option} to a file with the CA of the service."
            )
        else:
            found.load_into(context)
        if self._client is not None:
            certificate, key = self._client
            try:
                # Without a password, OpenSSL would ask for it on the terminal.
                context.load_cert_chain(certificate, key, password=lambda: "")
            except (OSError, ssl.SSLError) as error:
                files = " and ".join(file for file in self._client if file)
                raise BadCertificates(
                    f"The client's certificate in {files} cannot be used: {error}."
                ) from error
        return context
