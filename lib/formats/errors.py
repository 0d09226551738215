"""The one error of this project for data that has to be refused, and its reason codes.

Codes 1-39 belong to the model file and are the same numbers in the C kernels. docs/SPEC.md,
section "Reason codes", says what each of them means.
"""

TOO_SHORT = 1
MAGIC = 2
VERSION = 3
SIZE = 4
CRC = 5
HEADER = 6
SECTION_TABLE = 7
SECTION_MISSING = 8
SECTION_UNKNOWN = 9
SAMPLES = 10
FEATURES = 11
STREAM = 12
CLASSIFIER = 13
ROOT = 14
NODE = 15
LEAF = 16
DEPTH = 17
NOVELTY = 18
DECISION = 19
LABELS = 20
GOLDEN = 21
KERNEL_VERSION = 22
NAME = 23
GOLDEN_MISMATCH = 24
ALIGNMENT = 25
CUSTOM = 26

RECORD_SIZE = 40
RECORD_CRC = 41
RECORD_EPOCH = 42
RECORD_QUALITY = 43
RECORD_TIME = 44
RECORD_SEQ = 45

BATCH_SIZE = 50
BATCH_VERSION = 51
BATCH_QUALITY = 52
BATCH_EPOCH = 53
BATCH_SEQ = 54
BATCH_TIME = 55
BATCH_COUNT = 56
BATCH_DELTA = 57

MESSAGE_SIZE = 60
MESSAGE_SYNTAX = 61
MESSAGE_KEYS = 62
MESSAGE_TYPE = 63
MESSAGE_VERSION = 64
MESSAGE_RANGE = 65
TOPIC = 66

RESULT_ENCODING = 70
RESULT_VALUE = 71
RESULT_RESERVED = 72

CONFIG_MISSING = 80
CONFIG_SYNTAX = 81
CONFIG_KEY = 82
CONFIG_TYPE = 83
CONFIG_RANGE = 84

RECORDING_SIZE = 90
RECORDING_MAGIC = 91
RECORDING_VERSION = 92
RECORDING_HEADER = 93
RECORDING_SEGMENTS = 94

LINE_MARK = 95
LINE_SIZE = 96
LINE_CRC = 97
LINE_KIND = 98

# What a broker refuses: 100 + the return code of its CONNACK.
BROKER_PROTOCOL = 101
BROKER_CLIENT_ID = 102
BROKER_CREDENTIALS = 104
BROKER_NOT_AUTHORISED = 105
BROKER_SUBSCRIPTION = 106
TLS_CERTIFICATE = 107
TLS_CA = 108

CUSTOM_MISSING = 110
CUSTOM_HASH = 111
CUSTOM_FAILED = 112
CUSTOM_VALUE = 113

RETAINED_SIZE = 120
RETAINED_MAGIC = 121
RETAINED_VERSION = 122
RETAINED_CRC = 123
RETAINED_RANGE = 124


def name(code: int) -> str:
    """Return the name of a reason code, or `UNKNOWN`."""
    # The constants above are the table: a second one could only disagree with them.
    for key, value in globals().items():
        if value == code and key.isupper():
            return key
    return "UNKNOWN"


class OnebyteError(Exception):
    """Data from outside was refused.

    Attributes:
        code: One of the reason codes above.
        detail: What exactly was wrong, for people; may be empty.
    """

    def __init__(self, code: int, detail: str = "") -> None:
        super().__init__(code, detail)
        self.code = code
        self.detail = detail

    def __str__(self) -> str:
        text = "%s(%d)" % (name(self.code), self.code)
        return "%s: %s" % (text, self.detail) if self.detail else text
