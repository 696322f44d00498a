//! JSON out: appends to a byte vector.
//!
//! Every member is written with a comma behind it, and [`close`] turns the last one into a brace:
//! no member has to know whether it is the first or the last.

use crate::record::Text;

/// Appends text that is known when the program is built.
#[inline(always)]
pub(crate) fn literal<const N: usize>(out: &mut Vec<u8>, text: &[u8; N]) {
    // Pieces that compile to a few moves; a longer one would be a call in WebAssembly.
    let (pieces, rest) = text.as_chunks::<32>();
    for piece in pieces {
        out.extend_from_slice(piece);
    }
    out.extend_from_slice(rest);
}

/// Appends bytes that need no escape.
#[inline(always)]
pub(crate) fn plain(out: &mut Vec<u8>, text: Text<'_>) {
    const PIECE: usize = 16;
    // Copies whole pieces beyond the end of the text and takes the surplus back: for the few
    // bytes of a column that is several times faster than a copy of the exact length.
    if text.buffer.len() - text.end >= PIECE {
        let length = out.len() + (text.end - text.start);
        let mut start = text.start;
        while start < text.end {
            let piece: &[u8; PIECE] = text.buffer[start..].first_chunk().expect("a piece lies before the end");
            out.extend_from_slice(piece);
            start += PIECE;
        }
        out.truncate(length);
    } else {
        out.extend_from_slice(text.bytes());
    }
}

/// Appends the inside of a JSON string.
#[inline(always)]
pub(crate) fn string(out: &mut Vec<u8>, text: Text<'_>) {
    if text.plain { plain(out, text) } else { escaped(out, text.bytes()) }
}

/// Appends the inside of a JSON string, with the escapes that RFC 8259 requires. The text is UTF-8.
#[cold]
fn escaped(out: &mut Vec<u8>, text: &[u8]) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    for &byte in text {
        match byte {
            b'"' | b'\\' => out.extend_from_slice(&[b'\\', byte]),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            0..0x20 => {
                out.extend_from_slice(b"\\u00");
                out.extend_from_slice(&[HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]]);
            }
            _ => out.push(byte),
        }
    }
}

/// Appends `,` behind a member.
#[inline(always)]
pub(crate) fn comma(out: &mut Vec<u8>) {
    out.push(b',');
}

/// Ends an object, or with `]` an array, of at least one member.
#[inline(always)]
pub(crate) fn close(out: &mut Vec<u8>, bracket: u8) {
    if let Some(last) = out.last_mut() {
        *last = bracket;
    }
}
