"""Certificates of a TLS broker, made on the spot: a CA, and server certificates good and bad."""

import datetime
import ipaddress
from collections.abc import Sequence
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

__all__ = ["Ca"]

_DAY = datetime.timedelta(days=1)
# Boards that nobody told the time believe that it is the year 2021.
_LONG_AGO = datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)


class Ca:
    """A certificate authority whose key never leaves this object.

    Attributes:
        der: the CA's certificate, as the device takes it.
    """

    def __init__(self, name: str = "onebyte test CA") -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        now = datetime.datetime.now(datetime.UTC)
        certificate = (
            self._builder(self._name, self._key.public_key())
            .not_valid_before(_LONG_AGO)
            .not_valid_after(now + _DAY)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .sign(self._key, hashes.SHA256())
        )
        self.der = certificate.public_bytes(serialization.Encoding.DER)

    def _builder(
        self, subject: x509.Name, key: ec.EllipticCurvePublicKey
    ) -> x509.CertificateBuilder:
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key)
            .serial_number(x509.random_serial_number())
        )

    def issue(self, folder: Path, host: str, valid_from_days: int = -1) -> tuple[Path, Path]:
        """Write a certificate for one host, valid for two days, and its key; return both paths.

        Args:
            folder: where the PEM files go.
            host: DNS name or IP address.
            valid_from_days: first day relative to today; -10 has expired, 10 is not valid yet.
        """
        start = datetime.datetime.now(datetime.UTC) + valid_from_days * _DAY
        return self._issue(folder, [host], start, start + 2 * _DAY)

    def issue_for_boards(self, folder: Path, hosts: Sequence[str]) -> tuple[Path, Path]:
        """Do the same with a certificate that a board without the time accepts, too."""
        return self._issue(folder, hosts, _LONG_AGO, datetime.datetime.now(datetime.UTC) + _DAY)

    def write(self, path: Path) -> None:
        """Write the CA's certificate as PEM, as a program on a PC takes it."""
        certificate = x509.load_der_x509_certificate(self.der)
        path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))

    def _issue(
        self,
        folder: Path,
        hosts: Sequence[str],
        start: datetime.datetime,
        end: datetime.datetime,
    ) -> tuple[Path, Path]:
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, hosts[0])])
        alternatives = [_general_name(host) for host in hosts]
        certificate = (
            self._builder(subject, key.public_key())
            .not_valid_before(start)
            .not_valid_after(end)
            .add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
            .sign(self._key, hashes.SHA256())
        )
        certificate_file, key_file = folder / "server.pem", folder / "server.key"
        certificate_file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        key_file.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )
        key_file.chmod(0o600)
        return certificate_file, key_file


def _general_name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)
