"""Pictures of pages (画面の写真) small enough to keep: 64 colours, which pages of text and few colours do not
miss, as a PNG with a palette (W3C PNG, third edition)."""

import base64
import struct
import zlib

from playwright.sync_api import Page

COLOURS = 64


def kept(page: Page, png: bytes) -> bytes:
    """The same picture with ``COLOURS`` colours. The browser reads it: in a page of its own, for it is
    no business of the console's policy."""
    reader = page.context.new_page()
    try:
        width, height, palette, pixels = reader.evaluate(
            _REDUCED, [base64.b64encode(png).decode(), COLOURS]
        )
    finally:
        reader.close()
    rows = base64.b64decode(pixels)
    lines = b"".join(b"\0" + rows[y * width : (y + 1) * width] for y in range(height))
    header = struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + _chunk(b"IHDR", header)
        + _chunk(b"PLTE", bytes(palette))
        + _chunk(b"IDAT", zlib.compress(lines, 9))
        + _chunk(b"IEND", b"")
    )


def _chunk(kind: bytes, body: bytes) -> bytes:
    check = zlib.crc32(kind + body)
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", check)


# The commonest colours, those that are nearly the same left out, and for each pixel the nearest of them.
_REDUCED = """
async ([png, most]) => {
    const bytes = Uint8Array.from(atob(png), c => c.charCodeAt(0));
    const picture = await createImageBitmap(new Blob([bytes]));
    const {width, height} = picture;
    const canvas = new OffscreenCanvas(width, height).getContext("2d");
    canvas.drawImage(picture, 0, 0);
    const data = canvas.getImageData(0, 0, width, height).data;
    const times = new Map();
    for (let i = 0; i < data.length; i += 4) {
        const colour = data[i] << 16 | data[i + 1] << 8 | data[i + 2];
        times.set(colour, (times.get(colour) ?? 0) + 1);
    }
    const apart = (a, b) => ((a >> 16) - (b >> 16)) ** 2
        + ((a >> 8 & 255) - (b >> 8 & 255)) ** 2 + ((a & 255) - (b & 255)) ** 2;
    const chosen = [];
    for (const [colour] of [...times].sort((a, b) => b[1] - a[1]))
        if (chosen.length < most && chosen.every(other => apart(colour, other) > 200)) chosen.push(colour);
    const nearest = new Map();
    for (const colour of times.keys()) {
        let best = 0;
        chosen.forEach((other, i) => { if (apart(colour, other) < apart(colour, chosen[best])) best = i; });
        nearest.set(colour, best);
    }
    const pixels = new Uint8Array(width * height);
    for (let i = 0; i < pixels.length; i++)
        pixels[i] = nearest.get(data[4 * i] << 16 | data[4 * i + 1] << 8 | data[4 * i + 2]);
    let text = "";
    for (let i = 0; i < pixels.length; i += 32768)
        text += String.fromCharCode(...pixels.subarray(i, i + 32768));
    const palette = chosen.flatMap(c => [c >> 16, c >> 8 & 255, c & 255]);
    return [width, height, palette, btoa(text)];
}
"""
