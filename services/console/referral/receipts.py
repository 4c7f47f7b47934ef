"""Receipts to keep (受領証): the proof that an entry is in the ledger, and the entry itself, in one file. Pure.

A receipt can be checked without this network, by any tool that reads C2SP's ``tlog-proof``.
"""

import io
import zipfile

from schemas.base import JsonObject

_TOLD = """\
つなぐ 受領証 / Tsunagu receipt

entry.json        台帳に記された一件。このバイト列がそのまま葉になります
                  the entry as it is bound into the ledger; these bytes are the leaf
*.tlog-proof      その一件が署名済みの台帳に含まれることの証明（C2SP tlog-proof）
                  proof that the entry is in the signed ledger
ledger.vkey       署名を確かめる鍵。以前に受け取った鍵と同じであることを確かめてください
                  the key to check the signature by; make sure it is the one that you know

C2SP の tlog-proof を読むどの道具でも確かめられます / Any tool that reads C2SP's tlog-proof can check it.
"""


def packed(body: JsonObject) -> bytes:
    """A ZIP, the same bytes each time. Without the entry, where it is not given out: then the proof stands
    for the event id alone."""
    files = {str(body["name"]): str(body["proof"]), "ledger.vkey": f"{body['vkey']}\n"}
    if body.get("entry"):
        files["entry.json"] = str(body["entry"])
    files["README.txt"] = _TOLD
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in sorted(files.items()):
            # Nothing of a path in a name, and one fixed date.
            archive.writestr(zipfile.ZipInfo(name.replace("/", "_")), text)
    return held.getvalue()
