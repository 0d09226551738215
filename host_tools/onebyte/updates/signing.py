"""Signs a manifest: needs its bytes and a key, nothing else, so no network either."""

from formats import manifest, signed, signed_pack
from formats.errors import OnebyteError
from onebyte.errors import UserError
from onebyte.updates.keys import PrivateKey

__all__ = ["body_of", "sign_manifest", "summary"]

_KEY_ID_AT = 8  # of a manifest; docs/SPEC.md


def body_of(content: bytes, name: str) -> bytes:
    """Return the unsigned manifest in a file.

    Args:
        content: The whole file.
        name: What messages call it.

    Raises:
        UserError: It is another kind of file, or refused.
    """
    if content[:4] == signed.MAGIC:
        raise UserError(f"{name} is signed already; sign the manifest.unsigned that pack wrote")
    try:
        manifest.parse(content)
    except OnebyteError as error:
        raise UserError(f"{name} is no unsigned manifest: {error}") from None
    return content


def sign_manifest(body: bytes, key: PrivateKey) -> bytes:
    """Return the signed file of an unsigned manifest; the id of the key is filled in.

    Raises:
        OnebyteError: The manifest is refused.
    """
    named = body[:_KEY_ID_AT] + key.key_id + body[_KEY_ID_AT + signed.KEY_ID_BYTES :]
    manifest.parse(named)
    signature = key.sign(signed.message(signed.MANIFEST, named))
    return signed_pack.pack(signed.MANIFEST, [(key.public, signature)], named)


def summary(body: bytes) -> list[str]:
    """Say in lines what a manifest installs, and where: whoever signs has to know."""
    found = manifest.parse(body)
    hardware = [str(i) for i in range(32) if found.hardware_mask >> i & 1]
    whose = f"tenant {found.tenant}" if found.tenant else "every tenant"
    lines = [
        f"release {found.manifest_seq}: content version {found.content_version}, "
        f"security floor {found.security_floor}",
        f"for vendor {found.vendor}, product class {found.product_class}, "
        f"hardware {_ranges(hardware)}, {whose}",
        f"trial: {found.tries} tries, "
        + (
            f"may confirm after {found.offline_h} h without the server"
            if found.may_confirm_offline
            else "confirms only when the server acknowledges it"
        ),
    ]
    for kind, codec, size, stored, name, _ in found.files:
        sent = f", {stored} sent" if codec == manifest.DEFLATE else ""
        lines.append(f"  {manifest.path(kind, name) or 'firmware ' + name}: {size} bytes{sent}")
    return lines


def _ranges(names: list[str]) -> str:
    return "any" if len(names) == 32 else " ".join(names)
