"""What a native module's first bytes say against what the interpreter takes."""

import obchoice

X64, ARMV6M, ARMV7EMSP, XTENSAWIN = 2, 4, 7, 10


def features(arch, version=6, sub_version=3):
    """Return the number that MicroPython has as sys.implementation._mpy."""
    return version | (arch << 2 | sub_version) << 8


def header(arch, version=6, sub_version=3):
    """Return the first bytes of a native module."""
    return bytes((ord("M"), version, arch << 2 | sub_version, 31))


def test_module_of_this_chip_fits():
    assert obchoice.describe_file(header(X64), features(X64)) == ""
    assert obchoice.describe_file(header(XTENSAWIN), features(XTENSAWIN)) == ""


def test_later_cortex_m_takes_the_code_of_the_first():
    assert obchoice.describe_file(header(ARMV6M), features(ARMV7EMSP)) == ""
    wrong = obchoice.describe_file(header(ARMV7EMSP), features(ARMV6M))
    assert wrong.startswith("is for armv7emsp, mpy 6.3; this firmware takes armv6m, mpy 6.3: ")


def test_other_chip_is_named_with_the_folder_that_fits():
    assert obchoice.describe_file(header(XTENSAWIN), features(ARMV6M)) == (
        "is for xtensawin, mpy 6.3; this firmware takes armv6m, mpy 6.3:"
        " copy natmods/armv6m/obkernels.mpy to the board"
    )


def test_other_version_is_named():
    for version, sub_version in ((5, 3), (7, 3), (6, 2)):
        assert obchoice.describe_file(header(ARMV6M, version, sub_version), features(ARMV6M)) == (
            "is for armv6m, mpy %d.%d; this firmware takes armv6m, mpy 6.3:"
            " build it with this firmware's MicroPython" % (version, sub_version)
        )


def test_firmware_without_native_code_is_named():
    assert obchoice.describe_file(header(ARMV6M), 0) == (
        "is for armv6m, mpy 6.3; this firmware takes no native code"
    )


def test_unknown_architecture_is_a_number():
    wrong = obchoice.describe_file(header(13), features(ARMV6M))
    assert wrong.startswith("is for architecture 13, mpy 6.3; ")


def test_other_files_are_no_mpy():
    for head in (b"", b"M", b"M\x06\x13", b"#!/b", b"\x00\x00\x00\x00"):
        assert obchoice.describe_file(head, features(ARMV6M)) == "is no .mpy file: copy it again"
