"""What a node says of its updates. docs/SPEC.md: Update messages."""

from formats import update_messages
from formats.slot_state import NO_SLOT

_TENTHS = 10


def status(standing, wanted, job) -> dict:
    """Return the fields of the message on /u.

    Args:
        standing: `ota.standing.Standing`.
        wanted: `ota.wanted.Wanted`.
        job: `ota.job.Job`, or None.
    """
    node, found, record = standing.node, standing.found, standing.record
    runs = node.running != NO_SLOT and found is not None
    return {
        "phase": node.phase,
        "slot": update_messages.SLOTS[node.running] if runs else update_messages.NO_SLOT,
        "seq": found.manifest_seq if runs else 0,
        "content": found.content_version if runs else 0,
        "installed_seq": record.installed_seq,
        "pending_seq": record.pending_seq,
        "bad_seq": record.last_bad_seq,
        "floor": record.security_floor,
        "root": standing.root.epoch,
        "record": record.record_seq,
        "reason": record.fail_reason,
        "refused": wanted.refused,
        "refused_seq": wanted.refused_seq,
        "firmware": standing.device.firmware,
        "done_bytes": job.done_bytes if job else 0,
        "total_bytes": job.total_bytes if job else 0,
    }


def mark(standing, wanted, job) -> tuple:
    """Return what changes with everything that is worth a message."""
    tenths = 0
    if job and job.total_bytes:
        tenths = _TENTHS * job.done_bytes // job.total_bytes
    return standing.version, wanted.refused, wanted.refused_seq, tenths
