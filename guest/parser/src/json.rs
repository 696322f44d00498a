//! JSON out, into memory that is large enough before the first byte is written.
//!
//! Every member is written with a comma behind it, and [`Writer::close`] turns the last one into a
//! bracket: no member has to know whether it is the first or the last.

use crate::record::Text;

/// How far a text may be copied beyond its end, since whole pieces are faster than exact lengths.
const PIECE: usize = 32;

/// The longest that one byte becomes in a JSON string: `\u001f`.
const LONGEST_ESCAPE: usize = 6;

/// A text that is known when the program is built, and need not be of one length: with enough behind
/// it to be copied as a whole piece.
#[derive(Clone, Copy)]
pub(crate) struct Padded {
    text: [u8; Padded::BYTES],
    length: usize,
}

impl Padded {
    const BYTES: usize = 40;

    pub(crate) const fn new(text: &str) -> Padded {
        let mut padded = Padded { text: [0; Padded::BYTES], length: 0 };
        let text = text.as_bytes();
        while padded.length < text.len() {
            padded.text[padded.length] = text[padded.length];
            padded.length += 1;
        }
        padded
    }

    #[inline(always)]
    pub(crate) fn text(&self) -> Text<'_> {
        Text { tail: &self.text, length: self.length, plain: true }
    }
}

/// Writes one event.
pub(crate) struct Writer<'a> {
    buffer: &'a mut [u8],
    length: usize,
}

impl<'a> Writer<'a> {
    /// A writer into `buffer`, which must be as long as [`Writer::room`] says.
    pub(crate) fn new(buffer: &'a mut [u8]) -> Writer<'a> {
        Writer { buffer, length: 0 }
    }

    /// Room for texts of `bytes` bytes in all, and `literal_bytes` of literals between them.
    pub(crate) fn room(literal_bytes: usize, bytes: usize, plain: bool) -> usize {
        literal_bytes + bytes * if plain { 1 } else { LONGEST_ESCAPE } + PIECE
    }

    /// How much has been written.
    pub(crate) fn finish(self) -> usize {
        self.length
    }

    /// How much has been written so far.
    #[inline(always)]
    pub(crate) fn length(&self) -> usize {
        self.length
    }

    /// Takes back the literal that was written last.
    #[inline(always)]
    pub(crate) fn take_back<const N: usize>(&mut self, _last: &[u8; N]) {
        self.length -= N;
    }

    /// Writes text that is known when the program is built.
    #[inline(always)]
    pub(crate) fn literal<const N: usize>(&mut self, text: &[u8; N]) {
        // Pieces that compile to a few moves; a longer one would be a call in WebAssembly.
        let (pieces, rest) = text.as_chunks::<32>();
        let target = &mut self.buffer[self.length..][..N];
        let (target_pieces, target_rest) = target.as_chunks_mut::<32>();
        for (target, piece) in target_pieces.iter_mut().zip(pieces) {
            *target = *piece;
        }
        target_rest.copy_from_slice(rest);
        self.length += N;
    }

    /// Writes the inside of a JSON string.
    #[inline(always)]
    pub(crate) fn string(&mut self, text: Text<'_>) {
        if text.plain {
            self.plain(text);
        } else {
            self.length = escape(text.bytes(), self.buffer, self.length);
        }
    }

    #[inline(always)]
    fn plain(&mut self, text: Text<'_>) {
        // Nearly every text is one piece: a copy of constant length, of which the surplus is
        // overwritten by what comes next. The exact length would be several times slower.
        match text.tail.first_chunk::<PIECE>() {
            Some(piece) if text.length <= PIECE => {
                *self.buffer[self.length..].first_chunk_mut().expect("there is room") = *piece;
            }
            _ => self.buffer[self.length..][..text.length].copy_from_slice(text.bytes()),
        }
        self.length += text.length;
    }

    /// Writes bytes that need no escape.
    #[inline(always)]
    pub(crate) fn exact(&mut self, bytes: &[u8]) {
        if bytes.is_empty() {
            // A copy of nothing is still a call in WebAssembly.
            return;
        }
        self.buffer[self.length..][..bytes.len()].copy_from_slice(bytes);
        self.length += bytes.len();
    }

    /// Writes an integer.
    #[inline(always)]
    pub(crate) fn integer(&mut self, number: u64) {
        const DIGITS: usize = 20;
        // Behind the digits, what the copy of a whole piece takes with it.
        let mut digits = [0; DIGITS + PIECE];
        let mut start = DIGITS;
        let mut rest = number;
        loop {
            start -= 1;
            digits[start] = b'0' + (rest % 10) as u8;
            rest /= 10;
            if rest == 0 {
                break;
            }
        }
        self.plain(Text { tail: &digits[start..], length: DIGITS - start, plain: true });
    }

    /// Writes a word in lower case.
    #[inline(always)]
    pub(crate) fn lower_case(&mut self, word: Text<'_>) {
        let start = self.length;
        self.string(word);
        self.buffer[start..self.length].make_ascii_lowercase();
    }

    /// Ends an object or array of at least one member: `bracket` takes the place of the last comma.
    #[inline(always)]
    pub(crate) fn close(&mut self, bracket: u8) {
        self.buffer[self.length - 1] = bracket;
    }
}

/// Writes `text` with the escapes that RFC 8259 requires to `buffer` at `length`, and gives the new
/// length. The text is UTF-8. Not a method, since a writer that has no address stays in registers.
#[cold]
fn escape(text: &[u8], buffer: &mut [u8], mut length: usize) -> usize {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    let mut write = |bytes: &[u8]| {
        buffer[length..][..bytes.len()].copy_from_slice(bytes);
        length += bytes.len();
    };
    for &byte in text {
        match byte {
            b'"' | b'\\' => write(&[b'\\', byte]),
            b'\n' => write(b"\\n"),
            b'\r' => write(b"\\r"),
            b'\t' => write(b"\\t"),
            0..0x20 => write(&[b'\\', b'u', b'0', b'0', HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]]),
            _ => write(&[byte]),
        }
    }
    length
}
