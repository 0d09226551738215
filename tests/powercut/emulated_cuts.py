"""Cuts the power of an emulated RP2040 that updates itself: the real image, loader and signatures.

    python tests/powercut/emulated_cuts.py [cuts] [image.uf2]

The board goes on after each cut, with what the cut has left, and is cut again: in its boot, its
download, its trial. Whenever an app begins, the oracle judges the flash, read by littlefs on this
computer, and what the console says. The last line counts.
"""

import re
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path[:0] = [
    str(ROOT / name)
    for name in ("firmware", "tests/powercut", "tests/fakes", "tests/both", "lib/native/obed25519")
]

import ed25519_signer  # noqa: E402
from ota_oracle import BRICKED, KINDS, MIXED, STUCK, Finding, Oracle, held_by, read_state  # noqa: E402
from ota_releases import Release, root_file  # noqa: E402
from update_want import want_of  # noqa: E402

from formats import manifest, slot_state  # noqa: E402
from onebyte.crossbuild import firmware  # noqa: E402
from onebyte.emulator import littlefs  # noqa: E402
from onebyte.emulator.machine import EmulatorError, Machine  # noqa: E402

SHARES = (0.0, 0.5, 1.0)
# Operations until the next cut: all of a small number, so that boot and trial are cut, too.
DISTANCES = (0, 7, 1, 19, 2, 11, 3, 29, 4, 13, 5, 23, 6, 17, 8, 31, 9, 41, 10)
RUN_S = 90.0
PRODUCT = b'{"vendor":7,"product_class":3,"hardware":2,"firmware":4}'
SAYS = re.compile(r"app (\d+) (\d+) (\d+) in /s/([ab])")
END = "the end"
GOOD, BAD = 2, 3


def make_release(seq: int, crashes: bool) -> Release:
    """Return a release whose app updates itself, or crashes at its start."""
    source = (ROOT / "tests/fakes/self_updating_app.py").read_text(encoding="utf-8")
    line = f"VERSION, CRASHES = {seq}, {crashes}  #"
    text = source.replace("VERSION, CRASHES = 0, False  #", line).encode()
    assert text != source.encode()
    table = [
        (7, "node.py", 640, manifest.PLAIN, None),
        (7, "sensing.py", 1280, manifest.DEFLATE, None),
        (1, "run.py", text, manifest.PLAIN, None),
        (9, "exercise.obm", 512, manifest.PLAIN, None),
    ]
    # A cut in a trial costs a try; enough are left for the good release to be confirmed.
    return Release(ed25519_signer, seq, table=table, tries=2 if crashes else 100)


class Story:
    """A life on the emulated board: from one release to the next, or to a crash and back.

    Args:
        seq: The release that it is told to take.
    """

    def __init__(self, seq: int) -> None:
        self.seq = seq
        self.releases = {1: make_release(1, False), seq: make_release(seq, seq == BAD)}
        files = {f"s/a/{path}": data for path, data in self.releases[1].contents.items()}
        files |= {f"o/{name}": data for name, data in self.releases[seq].objects.items()}
        files |= {"s/a/manifest": self.releases[1].content, "id/product.json": PRODUCT}
        files |= {"id/root": root_file(ed25519_signer, 1), "want": want_of(self.releases[seq])}
        state = slot_state.State()
        state.active, state.record_seq, state.installed_seq, state.security_floor = 1, 1, 1, 1
        files["st/state"] = bytes(slot_state.pack(state))
        files["config.json"] = b'{"safe_boot_ms": 0}'
        self.factory = littlefs.make_image(files)
        self.oracle = Oracle(self.releases)
        self.oracle.quiet(littlefs.read_image(self.factory))

    def tree(self, flash: bytes) -> dict[str, bytes]:
        """Return the files of a flash as littlefs on this computer reads them."""
        return littlefs.read_image(flash[-littlefs.STORAGE_BYTES :])

    def judge(self, tree: dict[str, bytes], says: re.Match[str], n_boots: int) -> None:
        """Raise a Finding unless what runs is one signed release, and the record says so."""
        oracle = self.oracle
        oracle.offered, oracle.acked = {self.seq}, {self.seq} - {BAD}
        seq = oracle.judge(tree, 1 if says[4] == "a" else 2, n_boots)
        if {int(says[i]) for i in (1, 2, 3)} != {seq}:
            raise Finding(MIXED, f"{says[0]}, and the slot holds {seq}")
        oracle.quiet(tree, n_boots)

    def judge_end(self, tree: dict[str, bytes]) -> None:
        """Raise a Finding unless the life ended as it had to."""
        state = read_state(tree)
        expected = (2, GOOD, 0) if self.seq == GOOD else (1, 1, BAD)
        if state is None or (state[0], state[4], state[9]) != expected or state[1]:
            raise Finding(STUCK, f"the end is {state}")
        if held_by(tree, state[0], self.releases)[0] != state[4]:
            raise Finding(STUCK, "the end is no release")


class Cuts:
    """Cuts lives, and counts what that has shown."""

    def __init__(self, image: Path) -> None:
        self.n = 0
        self.judged = 0
        self.finished = 0
        self.found = dict.fromkeys(KINDS, 0)
        self._image = image
        self._n_boots = 0

    def live(self, seq: int, most: int) -> None:
        """Cut a life until it ends, or until there are so many cuts in all."""
        story = Story(seq)
        with Machine(self._image, story.factory, devices=[]) as machine:
            self._n_boots = 1
            while self.n < most:
                distance = DISTANCES[self.n % len(DISTANCES)]
                machine.cut_power(distance, SHARES[self.n // 3 % len(SHARES)])
                try:
                    self._run_until_cut(story, machine)
                except Finding as finding:
                    self.found[finding.args[0]] += 1
                    print(f"release {seq}, cut {self.n}, {distance}:", *finding.args)
                    return
                if not machine.is_dead:
                    self.finished += 1
                    return
                self.n += 1
                self._n_boots += 1
                machine.power_on()

    def _run_until_cut(self, story: Story, machine: Machine) -> None:
        """Go on until the power fails or the life ends; judge whenever an app begins."""
        console = ""
        while not machine.is_dead:
            try:
                console += machine.read_until("\n", RUN_S)
            except EmulatorError as error:
                if machine.is_dead:
                    return
                raise Finding(BRICKED, f"{error} {console[-200:]}") from error
            line = console.splitlines()[-1]
            says = SAYS.search(line)
            if says is not None and not machine.is_dead:
                story.judge(story.tree(machine.flash()), says, self._n_boots)
                self.judged += 1
                self._n_boots = 1  # of an app that crashes, the next one
            elif line.startswith(END):
                story.judge_end(story.tree(machine.flash()))
                return


def main(arguments: list[str]) -> int:
    """Cut so many times, in updates that are confirmed and in ones that crash in turn."""
    most = int(arguments[0]) if arguments else 12
    image = Path(arguments[1]) if arguments[1:] else firmware.build("pico_ppp").uf2
    cuts = Cuts(image)
    lives = 0
    while cuts.n < most and not any(cuts.found.values()):
        cuts.live((GOOD, BAD)[lives % 2], most)
        lives += 1
        print(f"{lives} lives, {cuts.n} cuts, {cuts.judged} starts judged", flush=True)
    print(f"{cuts.finished} of {lives} lives came to their end")
    print(
        f"powercut emulator cuts={cuts.n} " + " ".join(f"{k}={n}" for k, n in cuts.found.items())
    )
    return 1 if any(cuts.found.values()) or not cuts.judged else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
