"""Raw deflate for tests: only the host can pack. tests/host/test_deflate_cases.py checks it."""

from binascii import unhexlify

from check import Random

CONTENT = bytes(range(64)) * 150
BOMB_CONTENT = bytes(100000)
_NOISE = Random(9).bytes(300)
FAR_CONTENT = _NOISE + bytes(5000) + _NOISE

# CONTENT, window of 4096 bytes
PACKED = unhexlify(
    b"edcbb5610200000030a0487177a7c5dd1dfeff8a4348f60482a19f70241afb8d2792a974269bcb178aa572a5"
    b"5aab379aad76a7dbeb0ffefe87a3f1643a9b2f96abf566bbdb1f8ea7f3e57abb3f9eaf77c0f77ddff77ddff7"
    b"7ddff77ddff77ddff77ddff77ddff77ddff77dff4bff07"
)
# BOMB_CONTENT
BOMB = unhexlify(
    b"edc13101000000c2a0f54f6d0d0fa00000000000000000000000000000000000000000000000000000000000"
    b"0000000000000000000000000000000000000000000000000000000000000000000000000000000000000000"
    b"0000000000000000000000000000000000000000000000805703"
)
# FAR_CONTENT: a copy from further back than 4096 bytes
FAR = unhexlify(
    b"6350b19ed35a76f7d4b6bbcd9ee977fe0428794d1178f3fdaf72df27cfc59c1dec0f2a6b2b37735f7159e87e"
    b"83c3bb95714ef2a21726933c676e93e6bba67327d8609977cbd50b8e1e8d8e61b7d76f920a39a6f66a11a786"
    b"b89af5dbe7ffefdc5cc06d18e2dcbb6d57b1604dfcd6c4a49513941973564c63daa135e9ad7b625f5bd09ea5"
    b"6e35cb67dbad897fe1a2737ad19b99e50b96f7fabfadb32e9ab1aae98a5e43967968c759cd39e67f64ce1ebb"
    b"c6cfaebfecdeeab63a8eeb1eee3bd75e5ba55d5ee67ea262a6f79d7b793fa55cb7aebeb242b27c11f7ef69b9"
    b"0fe7dd657fbdd94f5670ceecf479371e3deaee6d08acd3f879e7ea5f5b59f7b3c23196fcfdeb6234375ce0f1"
    b"dbb862d19dc6aed96f8f162d7197f16810318d8f4c5ce5586a3e239651f96c7691a1435a53eb6486157d8d69"
    b"9fbd354257a7ad51611805a360148c8251300a46c1281805a360148c8251300a46c1281805a36014d01e8c8e"
    b"59123d660900"
)
