"""Certificate: what a gateway speaks TLS with: a certificate (PEM, with its chain) and its key."""

from __future__ import annotations

import ssl
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nbgraph.contract import Option
from nbgraph.errors import DeployError

CERTIFICATE, CERTIFICATE_KEY = "certificate", "certificate_key"  # as files and secrets are called
PROXIED = "give it a reverse proxy in front that speaks TLS: docs/serving.md has one that is tested"


@dataclass(frozen=True, slots=True)
class Certificate:
    """The texts of both files."""

    text: str
    key: str = field(repr=False)

    @property
    def files(self) -> dict[str, str]:
        """Both texts by the names of their files."""
        return {CERTIFICATE: self.text, CERTIFICATE_KEY: self.key}


def certificate_of(given: Any) -> Certificate | None:
    """What `certificate=("cert.pem", "key.pem")` names, once it is clear that the two belong together."""
    if given is None:
        return None
    if isinstance(given, str | Path) or not hasattr(given, "__iter__") or len(files := list(map(Path, given))) != 2:
        raise DeployError(
            f'certificate is {given!r}; expected the files of the certificate and its key: ("cert.pem", "key.pem").'
        )
    for file in files:
        if not file.expanduser().is_file():
            raise DeployError(f'certificate names "{file}", which is no file.')
    certificate, key = (file.expanduser() for file in files)
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificate, key, password="")
    except (ssl.SSLError, ValueError, OSError) as error:
        raise DeployError(
            f'"{certificate}" and "{key}" are no certificate and its key without a passphrase, as PEM: {error}.'
        ) from None
    return Certificate(certificate.read_text(), key.read_text())


def certificate_options(folder: str | Path) -> list[str]:
    """How a worker is told where they are."""
    return [
        Option.CERTIFICATE_FILE, f"{folder}/{CERTIFICATE}", Option.CERTIFICATE_KEY_FILE, f"{folder}/{CERTIFICATE_KEY}",
    ]  # fmt: skip


def kept_in(folder: Path) -> Certificate | None:
    """The certificate that a fleet keeps in its folder."""
    files = [folder / CERTIFICATE, folder / CERTIFICATE_KEY]
    return Certificate(*(file.read_text() for file in files)) if files[0].exists() else None
