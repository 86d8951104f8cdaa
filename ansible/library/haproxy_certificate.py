#!/usr/bin/python
# Apache-2.0
"""HAProxy's certificate: put in place, and in force, without a reload."""

DOCUMENTATION = r"""
module: haproxy_certificate
short_description: Give HAProxy a certificate, while it runs too
description:
  - Looks at certificate and key before anything is written, that they are there, belong to each other, and are not over.
  - Writes both into one file that HAProxy reads at its start. A HAProxy that runs gets them by its runtime API: who
    connects from then on is shown the new one, and no connection ends.
  - C(self-signed) makes a pair for the names given, once, and again a month before its end.
options:
  source: {description: Where they come from., type: str, required: true, choices: [self-signed, files]}
  certificate: {description: "File with the certificate and what its issuer wants sent with it, in PEM.", type: path}
  key: {description: "File with its key, in PEM, without a passphrase.", type: path}
  names: {description: Names and addresses that a self-signed one is for., type: list, elements: str, default: [localhost, 127.0.0.1]}
  target: {description: The file that HAProxy reads., type: path, required: true}
  inside: {description: The same as HAProxy has it., type: str, default: /etc/rollcall/tls/rollcall.pem}
  owner: {description: Numeric user that HAProxy runs as., type: int, required: true}
  socket: {description: Path of the runtime socket., type: path, required: true}
author: [Rollcall]
attributes:
  check_mode: {support: full, description: Looks at certificate and key all the same.}
"""

EXAMPLES = r"""
- name: Put the certificate in force
  haproxy_certificate:
    source: files
    certificate: /etc/ssl/chat.pem
    key: /etc/ssl/private/chat.pem
    target: /path/haproxy/tls/rollcall.pem
    owner: 65532
    socket: /path/haproxy.sock
"""

RETURN = r"""
until: {description: When the certificate ends., type: str, returned: success}
"""

import datetime
import hashlib
import ipaddress
import os
import re
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule, missing_required_lib
from ansible.module_utils.rollcall_files import put
from ansible.module_utils.rollcall_haproxy import HaproxyAway, HaproxyError, Runtime

try:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import NameOID

    IMPORT_ERROR = None
except ImportError as error:
    IMPORT_ERROR = error

LASTS = datetime.timedelta(days=825)
# A self-signed one is made anew when it lasts no longer than this.
RENEWED_BEFORE = datetime.timedelta(days=30)
RUNTIME_FINGERPRINT = re.compile(r"SHA1 FingerPrint: (\w+)")


class CertificateError(Exception):
    """What is there cannot be a certificate and its key."""


def read(path, setting):
    if not path:
        raise CertificateError(f"rollcall_tls: files takes rollcall_tls_certificate and rollcall_tls_key, and {setting} is not set")
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise CertificateError(f"{setting} cannot be read: {error}") from error


def pair(certificate, key):
    """The bytes of the file that HAProxy reads, and its first certificate."""
    chain, secret = read(certificate, "rollcall_tls_certificate"), read(key, "rollcall_tls_key")
    try:
        leaf, *others = x509.load_pem_x509_certificates(chain)
    except ValueError as error:
        raise CertificateError(f"rollcall_tls_certificate {certificate} has no certificate in PEM: {error}") from error
    try:
        private = serialization.load_pem_private_key(secret, password=None)
    except (ValueError, TypeError) as error:
        raise CertificateError(f"rollcall_tls_key {key} has no key in PEM without a passphrase: {error}") from error
    if public(private.public_key()) != public(leaf.public_key()):
        raise CertificateError(
            f"rollcall_tls_key {key} is not the key of rollcall_tls_certificate {certificate}: give the two that belong together"
        )
    if leaf.not_valid_after_utc <= now():
        raise CertificateError(f"rollcall_tls_certificate {certificate} ended at {leaf.not_valid_after_utc:%Y-%m-%d %H:%M} UTC: renew it first")
    return bundle(private, [leaf, *others]), leaf


def public(key):
    return key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)


def now():
    return datetime.datetime.now(datetime.timezone.utc)


def bundle(private, chain):
    """Without the empty lines that would end it at the runtime API."""
    pkcs8, plain = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    parts = [private.private_bytes(serialization.Encoding.PEM, pkcs8, plain)]
    return b"".join(parts + [certificate.public_bytes(serialization.Encoding.PEM) for certificate in chain])


def self_signed(names):
    private = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0][:64])])
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(private.public_key())
    builder = builder.serial_number(x509.random_serial_number()).not_valid_before(now() - datetime.timedelta(hours=1))
    builder = builder.not_valid_after(now() + LASTS)
    builder = builder.add_extension(x509.SubjectAlternativeName([general_name(name) for name in names]), critical=False)
    return bundle(private, [builder.sign(private, hashes.SHA256())])


def general_name(name):
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def kept(path, names):
    """The self-signed pair that is there, if it is still good for these names."""
    try:
        content = path.read_bytes()
        leaf = x509.load_pem_x509_certificates(content)[0]
        stands_for = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (OSError, ValueError, x509.ExtensionNotFound):
        return None
    lasts = leaf.not_valid_after_utc > now() + RENEWED_BEFORE and leaf.issuer == leaf.subject
    return content if lasts and list(stands_for) == [general_name(name) for name in names] else None


def place(path, content, owner):
    """Nobody but HAProxy reads the key, at no moment."""
    path.parent.mkdir(exist_ok=True)
    # Whatever the umask is: HAProxy is another user.
    path.parent.chmod(0o755)
    put(path, content, 0o400, owner)


def in_force(runtime, inside):
    """The fingerprint of the certificate that a HAProxy shows; none if it runs without, or does not run."""
    try:
        found = RUNTIME_FINGERPRINT.search(runtime.ask(f"show ssl cert {inside}"))
    except HaproxyAway:
        return None
    return found.group(1).lower() if found else None


def put_in_force(runtime, inside, content):
    for command in (f"set ssl cert {inside} <<\n{content.decode()}\n", f"commit ssl cert {inside}"):
        answer = runtime.ask(command).strip()
        if not ("Transaction created" in answer or "Transaction updated" in answer or "Success" in answer):
            runtime.ask(f"abort ssl cert {inside}")
            raise CertificateError(f"HAProxy does not take the certificate: {answer}")


def run(module):
    params = module.params
    target = Path(params["target"])
    if params["source"] == "files":
        content, _ = pair(params["certificate"], params["key"])
    else:
        content = kept(target, params["names"]) or self_signed(params["names"])
    leaf = x509.load_pem_x509_certificates(content)[0]
    changed = not target.exists() or target.read_bytes() != content
    runtime = Runtime(params["socket"])
    # A new stack has none, and need not wait for one.
    shown = in_force(runtime, params["inside"]) if os.path.exists(params["socket"]) else None
    fingerprint = hashlib.sha1(leaf.public_bytes(serialization.Encoding.DER)).hexdigest()
    stale = shown is not None and (changed or shown != fingerprint)
    if not module.check_mode:
        if stale:
            put_in_force(runtime, params["inside"], content)
        if changed:
            place(target, content, params["owner"])
    module.exit_json(changed=changed or stale, until=leaf.not_valid_after_utc.isoformat())


def main():
    module = AnsibleModule(
        argument_spec={
            "source": {"type": "str", "required": True, "choices": ["self-signed", "files"]},
            "certificate": {"type": "path"},
            "key": {"type": "path", "no_log": False},
            "names": {"type": "list", "elements": "str", "default": ["localhost", "127.0.0.1"]},
            "target": {"type": "path", "required": True},
            "inside": {"type": "str", "default": "/etc/rollcall/tls/rollcall.pem"},
            "owner": {"type": "int", "required": True},
            "socket": {"type": "path", "required": True},
        },
        supports_check_mode=True,
    )
    if IMPORT_ERROR:
        module.fail_json(msg=missing_required_lib("cryptography"), exception=IMPORT_ERROR)
    try:
        run(module)
    except (CertificateError, HaproxyError, OSError) as error:
        module.fail_json(msg=str(error))


if __name__ == "__main__":
    main()
