"""The page that lies beside an exported ledger: what it is, and how to check it without us."""

_PAGE = """\
# 台帳の写し / A copy of the ledger

このフォルダには、署名済みの {size:,} 件の記録が入っています。
This folder holds {size:,} entries, all under a signed head.

| ファイル / file | 中身 / what it is |
|---|---|
| `checkpoint` | 署名付きの先頭（件数とルート） / the signed head: size and root (C2SP tlog-checkpoint) |
| `tile/<L>/<N>` | 木のハッシュ / hashes of the Merkle tree (C2SP tlog-tiles, RFC 6962, SHA-256) |
| `tile/entries/<N>` | 記録そのもの（JSON） / the entries themselves: canonical JSON (RFC 8785) |
| `ledger.vkey` | 検証鍵 / the verifier key (C2SP signed-note, Ed25519) |
| `tlog-policy` | 信頼の方針 / whom to believe (C2SP tlog-policy) |

`checkpoint` と `tile/<L>` はハッシュだけなので、誰に渡してもかまいません。`tile/entries` には機関の名と
出来事の種類があります（氏名・住所・相談の言葉はありません）。監査の目的にだけ使ってください。

`checkpoint` and `tile/<L>` hold hashes only and may go to anyone. `tile/entries` tells which agency did what
and when, and no person's name, address or words. It is for auditors.

## 鍵を確かめる / First, the key

検証鍵は、このフォルダではなく、別の道（区役所・各機関が控えた鍵）で確かめてください。
Compare the key with one that reached you by another way, not with the one that lies here:

    {vkey}

各機関が控えた受領証（`.tlog-proof`）と以前の `checkpoint` も、この台帳に合うはずです。合わなければ、台帳は
作り直されています。The receipts and older checkpoints that agencies have kept must fit this ledger, too; if they
do not, the ledger was made anew.

## 外の道具で確かめる / Check it with tools that nobody here wrote

C2SP の書式を読む道具なら何でも使えます。たとえば:
Any tool that reads the C2SP formats will do, for example:

* Go: `golang.org/x/mod/sumdb/note` で署名を、`golang.org/x/mod/sumdb/tlog` で木を確かめる /
  `note` checks the signature, `tlog` the tree.
* Python (3.12 以上): PyPI `aics-tlog`。
* Rust: `tlog_tiles`, `metamorphic-log`。

## 道具なしで確かめる / Check it with a few lines of your own

Python の標準ライブラリだけで、すべての記録からルートを計算し直します。`checkpoint` の 3 行目と同じ値が
出れば、記録は署名されたときのままです（署名そのものは上の道具で）。

Python's standard library is enough to compute the root from all entries anew. If it prints the third line of
`checkpoint`, the entries are those that were signed (the signature itself: see above).

```python
{lines}```

## 一件の経過が揃っていること / That one referral's history is complete

各記録の `prev` は、同じ依頼の一つ前の記録のハッシュです。`version` は 1 から切れ目なく続き、`producer` ごとの
`number` も 1 から切れ目なく続きます。途中を抜けば、どこかが合わなくなります。

Each entry's `prev` is the leaf hash of the same referral's entry before it; `version` runs from 1 without a gap
in each referral, and `number` in each `producer`. Whatever is taken out leaves a place that does not fit.
"""

LINES = """\
import base64, hashlib, pathlib

def number(path):  # x001/x234/067.p/12 -> 1234067
    parts = str(path.relative_to("tile/entries")).replace("x", "").split(".p")[0].split("/")
    return int("".join(parts))

leaves = []
files = [f for f in pathlib.Path("tile/entries").rglob("*") if f.is_file()]
for file in sorted(files, key=number):
    data = file.read_bytes()
    while data:
        end = 2 + int.from_bytes(data[:2], "big")
        leaves.append(hashlib.sha256(b"\\x00" + data[2:end]).digest())
        data = data[end:]

def root(of):
    if len(of) == 1:
        return of[0]
    split = 1 << (len(of) - 1).bit_length() - 1
    return hashlib.sha256(b"\\x01" + root(of[:split]) + root(of[split:])).digest()

print(len(leaves))
print(base64.b64encode(root(leaves)).decode())
"""


def page(vkey: str, size: int) -> str:
    return _PAGE.format(vkey=vkey, size=size, lines=LINES)
