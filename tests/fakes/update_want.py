"""The message that wants a release; knows no filesystem, so that the host can use it too."""

from formats import update_messages


def want_of(release, **changes):
    """Return the message that wants a release."""
    want = {"seq": release.seq, "manifest": release.id, "bytes": len(release.content)}
    want.update({"root": 1, "url": ""})
    want.update(changes)
    return update_messages.pack_want(want)
