"""A certificate authority for one test, and what it has signed."""

from __future__ import annotations

from pathlib import Path

import trustme
from msgspec import Struct

from osapi_nats.server.settings import Tls


class Certificates(Struct, frozen=True):
    """Paths of files, and the authority itself to sign more."""

    authority: trustme.CA
    folder: Path
    ca: str

    def server(self, name: str = "127.0.0.1", *, verify: bool = False) -> Tls:
        """Return the settings of a server that has a certificate for this name or address."""
        cert, key = self.pair("server", name)
        return Tls(cert=cert, key=key, ca=self.ca, verify=verify)

    def pair(self, file: str, name: str) -> tuple[str, str]:
        """Return the paths of a new certificate and its key."""
        signed = self.authority.issue_cert(name)
        cert, key = self.folder / f"{file}.pem", self.folder / f"{file}.key"
        cert.write_bytes(b"".join(blob.bytes() for blob in signed.cert_chain_pems))
        key.write_bytes(signed.private_key_pem.bytes())
        return str(cert), str(key)


def make_certificates(folder: Path) -> Certificates:
    """Return a new authority that keeps its files in this folder."""
    folder.mkdir(exist_ok=True)
    authority = trustme.CA()
    path = folder / "ca.pem"
    authority.cert_pem.write_to_path(str(path))
    return Certificates(authority, folder, str(path))
