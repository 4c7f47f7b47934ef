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

leaf.txt          entry.json を渡せないときだけ: その一件のハッシュ（16進）
                  only where the entry is not given out: its hash (hex)

確かめ方 / How to check it

    tsunagu receipt FILE.zip --key KEY

KEY は、この ZIP ではなく別の道（区役所・機関が控えた鍵）で受け取った検証鍵です。ZIP の中の鍵だけでは、
ZIP ごと作り直されていても分かりません。
KEY is the verifier key as it reached you by another way. The key in the ZIP alone cannot tell whether the
whole ZIP was made anew.

自分で計算するなら / By your own means (RFC 6962, 2.1; RFC 9162, 2.1.3.2; ‖: one after the other):

    leaf = SHA-256(0x00 ‖ entry.json)      改行を足さず、そのままのバイト列 / the bytes as they are
    node = SHA-256(0x01 ‖ left ‖ right)    *.tlog-proof のハッシュを上から順に / its hashes from the top

    fn = index; sn = size - 1; r = leaf
    for p in hashes:
        sn = 0 なら誤り / wrong if sn = 0
        if fn is odd or fn = sn:
            r = SHA-256(0x01 ‖ p ‖ r)
            while fn is even and fn > 0: fn, sn = fn >> 1, sn >> 1
        else:
            r = SHA-256(0x01 ‖ r ‖ p)
        fn, sn = fn >> 1, sn >> 1

最後に sn = 0 で、r の base64 が checkpoint（空行の後）の 3 行目と同じなら、その一件は台帳にあります。size は 2 行目。
If sn = 0 at the end and r in base64 is the third line of the checkpoint (after the blank line; its second
line is the size), the entry is in the ledger.

署名: Ed25519。「— 名前 」の後の base64 は鍵の id 4 バイトと署名 64 バイト。
署名されたのは checkpoint の 3 行（改行を含む）。
鍵は ledger.vkey の二つ目の + の後（base64）から、先頭の 1 バイト（0x01）を除いた 32 バイト。
The signature: Ed25519. The base64 after "— name " is 4 bytes of key id and 64 of signature; what is signed is
the checkpoint's three lines with their line ends. The key is what follows the second + in ledger.vkey, in
base64, without its first byte (0x01): 32 bytes.

C2SP の tlog-proof を読むどの道具でも確かめられます / Any tool that reads C2SP's tlog-proof can check it.
"""


def packed(body: JsonObject) -> bytes:
    """A ZIP, the same bytes each time. Without the entry, where it is not given out: then its hash
    stands in its place, and the proof is of that hash."""
    files = {str(body["name"]): str(body["proof"]), "ledger.vkey": f"{body['vkey']}\n"}
    if body.get("entry"):
        files["entry.json"] = str(body["entry"])
    else:
        files["leaf.txt"] = f"{body['leaf']}\n"
    files["README.txt"] = _TOLD
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in sorted(files.items()):
            # Nothing of a path in a name, and one fixed date.
            archive.writestr(zipfile.ZipInfo(name.replace("/", "_")), text)
    return held.getvalue()
