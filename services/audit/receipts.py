"""Receipts (受領証): what proves that one entry is in the ledger, in a form that foreign tools read. Pure.

C2SP tlog-proof: a header, the leaf's index, the hashes from leaf to root (RFC 6962, 2.1.1), a blank line
and the signed checkpoint. Whoever keeps it with the entry's bytes and the verifier key needs nobody else
to check it.
"""

import base64
from collections.abc import Sequence
from typing import Final

HEADER: Final = "c2sp.org/tlog-proof@v1"


def receipt_text(index: int, proof: Sequence[bytes], note: str) -> str:
    """The file ``<anything>.tlog-proof``. ``note``: a signed checkpoint of a size beyond ``index``."""
    hashes = "".join(f"{base64.b64encode(one).decode()}\n" for one in proof)
    return f"{HEADER}\nindex {index}\n{hashes}\n{note}"
