"""Plants bugs into the updates, one after the other, and shows that the power cuts find each.

    python tests/powercut/planted_ota.py [name of a bug]

Each is a change of a few lines in a copy of the device's sources. Without one the same stories
must find nothing. The last line counts; the exit status is 1 unless every bug was caught.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).parent))
from run import find_micropython

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
TIMEOUT_S = 250
LAST_LINE = re.compile(r"powercut ota cuts=(\d+)((?: [a-z_]+=\d+)+)")


class Bug(NamedTuple):
    """A bug: what it is, where, what stands there, what it becomes, which story shows it."""

    name: str
    file: str
    old: str
    new: str
    story: str = "confirmed"


BUGS = (
    Bug(
        "the state names a slot before its files are there",
        "ota/job.py",
        "        # A frame keeps what it names, and what it named, from the collector.\n",
        "        standing.event(slots.FETCHED)\n        standing.event(slots.VERIFIED, found)\n",
    ),
    Bug(
        "a try is counted after the new slot runs",
        "ota/loader.py",
        "    if node.record is not record:\n",
        "    if node.record is not record and node.phase != slots.TRIAL:\n",
    ),
    Bug(
        "the record is removed before the new one takes its name",
        "ota/store.py",
        "        self.files.rename(path + _NEW, path)\n",
        "        try:\n            self.files.remove(path)\n        except OSError:\n"
        "            pass\n        self.files.rename(path + _NEW, path)\n",
    ),
    Bug(
        "the record is written in place, in two pieces",
        "ota/store.py",
        '        with self.files.open(path + _NEW, "wb") as file:\n'
        "            file.write(content)\n        self.files.rename(path + _NEW, path)\n",
        '        for mode, half in (("wb", content[:20]), ("ab", content[20:])):\n'
        "            with self.files.open(path, mode) as file:\n"
        "                file.write(half)\n",
    ),
    Bug(
        "the floor rises when a release is armed",
        "ota/slot_changes.py",
        "    _set_pending(state, target(record), found)\n    return state\n",
        "    _set_pending(state, target(record), found)\n"
        "    state.security_floor = found.security_floor\n    return state\n",
    ),
    Bug(
        "bytes behind the end of a file are not looked at",
        "ota/check.py",
        "                left -= n_bytes\n",
        "                n_bytes = min(n_bytes, left)\n                left -= n_bytes\n",
        "meddled",
    ),
    Bug(
        "files that the manifest does not list are accepted",
        "ota/check.py",
        "        check_listing(self._files, self._path, found)\n",
        "",
        "meddled",
    ),
    Bug(
        "the files' hashes are checked at the installation only",
        "ota/check.py",
        "        if found.digest() != digest:\n",
        "        if False:\n",
        "rotten",
    ),
    Bug(
        "one read of the manifest is checked, another one used",
        "ota/check.py",
        "        found = manifest.parse(document.body)\n",
        "        content = self._read_manifest()\n"
        "        found = manifest.parse(signed.parse(content, signed.MANIFEST).body)\n",
        "weak",
    ),
    Bug(
        "the manifest is parsed before its signature is verified",
        "ota/trust.py",
        "    key = signer_of(document, root, verify)\n    found = manifest.parse(document.body)\n",
        "    found = manifest.parse(document.body)\n    key = signer_of(document, root, verify)\n",
        "refused",
    ),
    Bug(
        "the signature is not looked at",
        "ota/trust.py",
        "            if not verify(entry[0], signature, document.message()",
        "            if False and not verify(entry[0], signature, document.message()",
        "refused",
    ),
    Bug(
        "a try without a restart is not counted",
        "ota/standing.py",
        "        if node.record is not self.node.record:\n",
        "        if node.record is not self.node.record and event != slots.TRY:\n",
        "swapped",
    ),
    Bug(
        "a confirmation takes two records",
        "ota/standing.py",
        "            self.store.write_state(node.record)\n",
        "            if event == slots.SERVER_ACK:\n"
        "                first = node.record.copy()\n"
        "                first.security_floor = self.node.record.security_floor\n"
        "                self.store.write_state(first)\n"
        "            self.store.write_state(node.record)\n",
    ),
    Bug(
        "a confirmation is acted on before it is durable",
        "ota/trial.py",
        "        self._at.event(event, seq)\n",
        "        self._at.node = slots.step(self._at.node, event, seq)[0]\n",
    ),
    Bug(
        "the slot that runs is emptied to make room",
        "ota/prepare.py",
        "    remove(store.files, store.manifest_path(slot))\n",
        "    remove(store.files, store.manifest_path(slot))\n"
        "    remove(store.files, store.manifest_path(3 - slot))\n",
    ),
    Bug(
        "a download goes to the slot that runs",
        "ota/slot_changes.py",
        "    return other(record.active) if record else SLOT_A\n",
        "    return record.active if record and record.active else SLOT_A\n",
    ),
    Bug(
        "a file that is there already is not hashed",
        "ota/install.py",
        "            if (yield from self._is_right(path, digest)):\n                return\n"
        "            remove(self._files, path)\n",
        "            return\n            remove(self._files, path)\n",
        "confirmed",
    ),
    Bug(
        "partial files of another release are kept",
        "ota/prepare.py",
        "    goes_on = downloads.digest_of(MANIFEST) == digest\n",
        "    goes_on = bool(downloads.digest_of(MANIFEST))\n",
        "replaced",
    ),
    Bug(
        "the record's CRC is ignored",
        "formats/slot_state.py",
        "        raise OnebyteError(errors.SLOT_STATE_CRC)\n",
        "        pass\n",
        "lost",
    ),
    Bug(
        "a trial runs although its try cannot be written",
        "ota/loader.py",
        "            slot = slot_changes.slot_without_writing(record, checked)\n"
        "            node, _ = slots.step(off, slots.UNWRITABLE, slot)\n",
        "            pass\n",
        "weak",
    ),
    Bug(
        "any acknowledgement confirms",
        "ota/trial.py",
        "        if is_trial and (seq, record) == (at.pending_seq, at.record_seq):\n",
        "        if is_trial:\n",
        "refused",
    ),
    Bug(
        "an acknowledgement of an earlier start confirms",
        "ota/trial.py",
        "        if is_trial and (seq, record) == (at.pending_seq, at.record_seq):\n",
        "        if is_trial and seq == at.pending_seq:\n",
        "refused",
    ),
    Bug(
        "a release that failed is forgotten",
        "ota/slot_changes.py",
        "    state.last_bad_seq = record.pending_seq\n",
        "",
        "unhealthy",
    ),
    Bug(
        "a trial without tries goes on",
        "ota/slots.py",
        "        if is_whole and record.tries_left:\n",
        "        if is_whole:\n",
        "crashing",
    ),
    Bug(
        "a start confirms",
        "ota/slots.py",
        '    (OFF, TRY): (TRIAL, "count", RUN),\n',
        '    (OFF, TRY): (TRIAL, "confirm", RUN),\n',
    ),
    Bug(
        "the epoch is in the record before the root document is there",
        "ota/job.py",
        "        standing.store.add_root(content, epoch)\n"
        "        standing.event(slots.ROOT, epoch)\n",
        "        standing.event(slots.ROOT, epoch)\n"
        "        standing.store.add_root(content, epoch)\n",
        "rotated",
    ),
    Bug(
        "what cannot be read for once is taken for lost",
        "ota/loader.py",
        "_LOOKS = 3 ",
        "_LOOKS = 1 ",
        "weak",
    ),
    Bug(
        "half a download is fetched anew after a restart",
        "ota/install.py",
        "        here = max(0, length(self._files, path))\n",
        "        remove(self._files, path)\n        here = 0\n",
        "resumed",
    ),
)


def run(sources: Path, form: str, stories: list[str]) -> tuple[int, int, str]:
    """Run the cuts over a copy of the sources; return cuts, findings and all that was printed."""
    program = find_micropython()
    assert program, "no micropython beside python or on PATH: run make venv"
    command = [program, "-X", "heapsize=128m", str(HERE / "ota_cuts.py"), form, *stories]
    done = subprocess.run(
        command,
        env=os.environ | {"OTA_SOURCES": str(sources)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )
    lines = done.stdout.strip().splitlines() or [""]
    found = LAST_LINE.fullmatch(lines[-1])
    if found is None:
        return 0, 0, done.stdout
    return int(found[1]), sum(int(n) for n in re.findall(r"=(\d+)", found[2])), done.stdout


def plant(folder: Path, bug: Bug | None) -> Path:
    """Return a copy of the device's sources with a bug in it; exactly one place may fit."""
    shutil.copytree(ROOT / "firmware" / "ota", folder / "firmware" / "ota")
    shutil.copytree(ROOT / "lib" / "formats", folder / "lib" / "formats")
    if bug is not None:
        part = "lib" if bug.file.startswith("formats/") else "firmware"
        path = folder / part / bug.file
        text = path.read_text(encoding="utf-8")
        if text.count(bug.old) != 1:
            sys.exit(f"{bug.file}: {text.count(bug.old)} places for {bug.name!r}, not one")
        path.write_text(text.replace(bug.old, bug.new), encoding="utf-8")
    return folder


def main(arguments: list[str]) -> int:
    """Plant every bug, or the ones whose names begin with the argument."""
    bugs = [bug for bug in BUGS if not arguments or bug.name.startswith(arguments[0])]
    n_caught = 0
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        stories = sorted({bug.story for bug in bugs})
        cuts, findings, printed = run(plant(folder / "none", None), "unplanted", stories)
        if not cuts or findings:
            print("without a bug:", *printed.splitlines()[-20:], sep="\n")
            return 1
        for number, bug in enumerate(bugs):
            cuts, findings, printed = run(plant(folder / str(number), bug), "planted", [bug.story])
            n_caught += bool(cuts and findings)
            lines = [line for line in printed.splitlines() if ": cut " in line or "cut " in line]
            print(
                f"{'caught' if findings else 'NOT CAUGHT'}: {bug.name}: {(lines or [printed])[0]}"
            )
    print(f"planted bugs={len(bugs)} caught={n_caught}")
    return 0 if bugs and n_caught == len(bugs) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
