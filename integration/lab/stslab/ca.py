# SPDX-FileCopyrightText: The stsgate authors
# SPDX-License-Identifier: ISC
"""A certificate authority, its rogue twin, and leaf certificates of every kind.

Keys are ECDSA P-256 unless a weak one is asked for.  kind() makes a
certificate by what is wrong with it, for a given host name.
"""

import datetime
import itertools
import pathlib
from dataclasses import dataclass

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

DAY = datetime.timedelta(days=1)
LONG_CHAIN = 480        # certificates that still fit where OpenSSL takes 100 KiB of them


@dataclass(frozen=True)
class Certificate:
    """One PEM file holding the key and the chain, as a TLS server wants it."""

    path: str
    kind: str


def _name(common_name):
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _pem_key(key):
    return key.private_bytes(serialization.Encoding.PEM,
                             serialization.PrivateFormat.PKCS8,
                             serialization.NoEncryption())


def _filler():
    """A certificate of few octets that has no part in any chain."""
    key = ed25519.Ed25519PrivateKey.generate()
    now = datetime.datetime.utcnow()
    return (x509.CertificateBuilder().subject_name(_name("x")).issuer_name(_name("x"))
            .public_key(key.public_key()).serial_number(1)
            .not_valid_before(now - DAY).not_valid_after(now + DAY)
            .sign(key, None).public_bytes(serialization.Encoding.PEM))


class Authority:
    """One root certificate that signs leaves."""

    def __init__(self, directory, common_name):
        self.directory = pathlib.Path(directory)
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.subject = _name(common_name)
        self.certificate = self._self_signed_root()
        self._serial = itertools.count(1)
        self.path = self.directory / (common_name.replace(" ", "-").lower() + ".pem")
        self.path.write_bytes(self.certificate.public_bytes(serialization.Encoding.PEM))

    def _self_signed_root(self):
        now = datetime.datetime.utcnow()
        builder = (x509.CertificateBuilder()
                   .subject_name(self.subject).issuer_name(self.subject)
                   .public_key(self.key.public_key())
                   .serial_number(x509.random_serial_number())
                   .not_valid_before(now - 400 * DAY).not_valid_after(now + 3650 * DAY)
                   .add_extension(x509.BasicConstraints(ca=True, path_length=1), critical=True)
                   .add_extension(x509.KeyUsage(
                       digital_signature=True, key_cert_sign=True, crl_sign=True,
                       content_commitment=False, key_encipherment=False,
                       data_encipherment=False, key_agreement=False,
                       encipher_only=False, decipher_only=False), critical=True)
                   .add_extension(x509.SubjectKeyIdentifier.from_public_key(
                       self.key.public_key()), critical=False))
        return builder.sign(self.key, hashes.SHA256())

    def leaf(self, names, common_name=None, valid=(-1, 90), weak=False,
             self_signed=False, kind="good", chain=False, rsa_bits=0):
        """Make a leaf for SAN dNSNames `names`, valid from and to in days from now.

        With `chain` the server sends the root along, as DANE-TA wants it.
        """
        rsa_bits = 1024 if weak else rsa_bits
        key = (rsa.generate_private_key(65537, rsa_bits) if rsa_bits
               else ec.generate_private_key(ec.SECP256R1()))
        subject = _name((common_name or (names[0] if names else "stslab"))[:64])
        now = datetime.datetime.utcnow()
        builder = (x509.CertificateBuilder()
                   .subject_name(subject)
                   .issuer_name(subject if self_signed else self.subject)
                   .public_key(key.public_key())
                   .serial_number(x509.random_serial_number())
                   .not_valid_before(now + valid[0] * DAY)
                   .not_valid_after(now + valid[1] * DAY)
                   .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
                   .add_extension(x509.ExtendedKeyUsage(
                       [ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
                   .add_extension(x509.SubjectKeyIdentifier.from_public_key(
                       key.public_key()), critical=False))
        if not self_signed:
            builder = builder.add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(
                    self.key.public_key()), critical=False)
        if names:
            builder = builder.add_extension(
                x509.SubjectAlternativeName([x509.DNSName(name) for name in names]),
                critical=False)
        signer = key if self_signed else self.key
        signed = builder.sign(signer, hashes.SHA256())
        path = self.directory / f"leaf-{next(self._serial)}-{kind}.pem"
        pem = [_pem_key(key), signed.public_bytes(serialization.Encoding.PEM)]
        if chain:
            pem.append(self.certificate.public_bytes(serialization.Encoding.PEM))
        path.write_bytes(b"".join(pem))
        return Certificate(str(path), kind)


class Authorities:
    """The CA that stsgated trusts, and a rogue one that it does not."""

    def __init__(self, directory):
        self.trusted = Authority(directory, "stslab root")
        self.rogue = Authority(directory, "rogue root")
        self._made = {}

    @property
    def ca_file(self):
        return str(self.trusted.path)

    def kind(self, kind, host):
        """A certificate for `host` with the fault that `kind` names; made once."""
        key = (kind, host)
        if key not in self._made:
            self._made[key] = self._make(kind, host)
        return self._made[key]

    def _make(self, kind, host):
        leaf, parent = self.trusted.leaf, host.partition(".")[2]
        if kind == "good":
            return leaf([host])
        if kind == "rsa":
            return leaf([host], rsa_bits=2048, kind=kind)
        if kind == "expired":
            return leaf([host], valid=(-90, -1), kind=kind)
        if kind == "expires-soon":
            return leaf([host], valid=(-80, 4), kind=kind)
        if kind == "not-yet-valid":
            return leaf([host], valid=(10, 90), kind=kind)
        if kind == "wrong-name":
            return leaf(["other.elsewhere.example"], kind=kind)
        if kind == "self-signed":
            return leaf([host], self_signed=True, kind=kind)
        if kind == "rogue":
            return self.rogue.leaf([host], kind=kind)
        if kind == "long-chain":
            made = leaf([host], kind=kind)
            with open(made.path, "ab") as file:
                file.write(_filler() * (LONG_CHAIN - 1))
            return made
        if kind == "own-ca":
            return self.rogue.leaf([host], kind=kind, chain=True)
        if kind == "own-ca-expired":
            return self.rogue.leaf([host], valid=(-90, -1), kind=kind, chain=True)
        if kind == "own-ca-wrong-name":
            return self.rogue.leaf(["other.elsewhere.example"], kind=kind, chain=True)
        if kind == "own-ca-domain-only":
            return self.rogue.leaf([parent], kind=kind, chain=True)
        if kind == "own-ca-wildcard":
            return self.rogue.leaf(["*." + parent], kind=kind, chain=True)
        if kind == "self-signed-expired":
            return leaf(["other.elsewhere.example"], valid=(-90, -1), self_signed=True, kind=kind)
        if kind == "cn-only":
            return leaf([], common_name=host, kind=kind)
        if kind == "domain-only":
            return leaf([parent], kind=kind)
        if kind == "wildcard":
            return leaf(["*." + parent], kind=kind)
        if kind == "wildcard-two-labels":
            return leaf(["*." + parent.partition(".")[2]], kind=kind)
        if kind == "partial-wildcard":
            return leaf([host[:1] + "*." + parent], kind=kind)
        if kind == "weak":
            return leaf([host], weak=True, kind=kind)
        raise ValueError(f"no such kind of certificate: {kind}")
