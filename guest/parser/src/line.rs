//! A text line to columns: one pass, eight or sixteen bytes at a time.

use std::ops::Range;

use memchr::memchr;

use crate::format::MAX_COLUMNS;

/// A column's text as a range of the input, and its number once it has been read.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Value {
    pub(crate) start: usize,
    pub(crate) end: usize,
    pub(crate) number: u64,
}

/// The extent of a line.
pub(crate) struct Line {
    /// How many columns it has. The first of them are in the caller's slice, as many as fit.
    pub(crate) columns: usize,
    /// Where its line feed stands, or the end of the input.
    pub(crate) end: usize,
    /// Whether it is ASCII without anything that JSON would have to escape.
    pub(crate) plain: bool,
}

/// The lowest bit of every byte.
pub(crate) const LOW_BITS: u64 = 0x0101_0101_0101_0101;
/// The highest bit of every byte.
pub(crate) const HIGH_BITS: u64 = 0x8080_8080_8080_8080;

/// Splits the line that begins at `start` on runs of blanks (space, tab, carriage return) into `values`.
#[inline(never)]
pub(crate) fn split(input: &[u8], start: usize, values: &mut [Value]) -> Line {
    let mut columns = 0;
    let mut column_start = start;
    let mut position = start;
    let mut special = block::NOTHING;
    let mut plain = true;
    loop {
        let mut blanks;
        (blanks, special) = block::look(input, position, special);
        while blanks != 0 {
            let end = position + (blanks.trailing_zeros() / block::STRIDE) as usize;
            // What lies beyond the end of the input reads as line feeds.
            let byte = input.get(end).copied().unwrap_or(b'\n');
            if !matches!(byte, b' ' | b'\n' | b'\t' | b'\r') {
                // Another control character: part of the column, for its field to judge.
                plain = false;
            } else {
                if end > column_start {
                    if let Some(value) = values.get_mut(columns) {
                        *value = Value { start: column_start, end, number: 0 };
                    }
                    columns += 1;
                }
                column_start = end + 1;
                if byte == b'\n' {
                    return Line { columns, end, plain: plain && !block::is_any(special) };
                }
                plain &= byte == b' ';
            }
            blanks &= blanks - 1;
        }
        position += block::BYTES;
    }
}

/// Looks at eight bytes at once, in a word of the processor.
#[cfg(not(target_feature = "simd128"))]
mod block {
    use super::*;

    pub(super) const BYTES: usize = 8;
    /// Bits of [`look`]'s blanks for each byte.
    pub(super) const STRIDE: u32 = 8;
    pub(super) const NOTHING: u64 = 0;

    /// A bit for every byte that is at most 0x20; and `special`, with what JSON would have to escape or is not ASCII.
    #[inline(always)]
    pub(super) fn look(input: &[u8], position: usize, special: u64) -> (u64, u64) {
        let word = word_at(input, position);
        let found = (word & HIGH_BITS) | zero_bytes(word ^ (LOW_BITS * 0x22)) | zero_bytes(word ^ (LOW_BITS * 0x5c));
        (up_to_space(word), special | found)
    }

    /// No carry crosses a byte: 0x7f + 0x5f < 0x100.
    #[inline(always)]
    fn up_to_space(word: u64) -> u64 {
        !((word & !HIGH_BITS) + LOW_BITS * 0x5f) & !word & HIGH_BITS
    }

    #[inline(always)]
    pub(super) fn is_any(special: u64) -> bool {
        special != 0
    }
}

/// The same for sixteen bytes at once, where WebAssembly has vectors.
#[cfg(target_feature = "simd128")]
mod block {
    use std::arch::wasm32::*;

    use super::word_at;

    pub(super) const BYTES: usize = 16;
    pub(super) const STRIDE: u32 = 1;
    pub(super) const NOTHING: v128 = u64x2(0, 0);

    #[inline(always)]
    pub(super) fn look(input: &[u8], position: usize, special: v128) -> (u32, v128) {
        let bytes = u64x2(word_at(input, position), word_at(input, (position + 8).min(input.len())));
        let escaped = v128_or(u8x16_eq(bytes, u8x16_splat(b'"')), u8x16_eq(bytes, u8x16_splat(b'\\')));
        let is_not_ascii = i8x16_lt(bytes, i8x16_splat(0));
        let blanks = u8x16_bitmask(u8x16_le(bytes, u8x16_splat(b' ')));
        (blanks.into(), v128_or(special, v128_or(escaped, is_not_ascii)))
    }

    #[inline(always)]
    pub(super) fn is_any(special: v128) -> bool {
        v128_any_true(special)
    }
}

/// Where the columns of a text line stand in it, in bytes. [`Fault::column`](crate::Fault::column) counts them from 1.
pub fn columns(line: &[u8]) -> Vec<Range<usize>> {
    let mut values = [Value::default(); MAX_COLUMNS + 1];
    let columns = split(line, 0, &mut values).columns.min(values.len());
    values[..columns].iter().map(|value| value.start..value.end).collect()
}

/// Where the line that begins at `start` ends: its line feed, or the end of the input.
pub(crate) fn end(input: &[u8], start: usize) -> usize {
    memchr(b'\n', &input[start..]).map_or(input.len(), |length| start + length)
}

/// The eight bytes at `position`; what lies beyond the end of the input reads as line feeds.
#[inline(always)]
pub(crate) fn word_at(input: &[u8], position: usize) -> u64 {
    match input.get(position..).and_then(|rest| rest.first_chunk()) {
        Some(bytes) => u64::from_le_bytes(*bytes),
        None => last_word(&input[position..]),
    }
}

#[cold]
fn last_word(rest: &[u8]) -> u64 {
    let mut bytes = [b'\n'; 8];
    bytes[..rest.len()].copy_from_slice(rest);
    u64::from_le_bytes(bytes)
}

/// Not zero exactly when a byte of `word` is zero; its lowest bit that is set is that of the first one.
#[inline(always)]
pub(crate) fn zero_bytes(word: u64) -> u64 {
    word.wrapping_sub(LOW_BITS) & !word & HIGH_BITS
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split_all(input: &str) -> Vec<(Vec<&str>, bool)> {
        let mut lines = Vec::new();
        let mut values = [Value::default(); 10];
        let mut start = 0;
        while start < input.len() {
            let line = split(input.as_bytes(), start, &mut values);
            let columns = &values[..line.columns];
            assert_eq!(line.end, end(input.as_bytes(), start));
            lines.push((columns.iter().map(|value| &input[value.start..value.end]).collect(), line.plain));
            start = line.end + 1;
        }
        lines
    }

    #[test]
    fn columns_at_every_alignment() {
        for padding in 0..20 {
            let first = "x".repeat(padding + 1);
            let input = format!("{first} 10.0.0.1  - 7 \n\na b\r\nlast\tone");
            let expected = [
                (vec![&*first, "10.0.0.1", "-", "7"], true),
                (vec![], true),
                (vec!["a", "b"], false),
                (vec!["last", "one"], false),
            ];
            let found = split_all(&input);
            assert_eq!(
                found.iter().map(|(columns, _)| columns).collect::<Vec<_>>(),
                expected.iter().map(|(columns, _)| columns).collect::<Vec<_>>()
            );
            // A neighbour in the same word may cost a line its fast path, never give it one.
            assert!(!found[2].1 && !found[3].1);
        }
    }

    #[test]
    fn what_json_escapes_is_never_plain() {
        for special in (0..0x20u8).filter(|&byte| byte != b'\n').chain([b'"', b'\\', 0x80, 0xff]) {
            for position in 0..16 {
                let mut input = [b'a'; 17];
                input[position] = special;
                assert!(!split(&input, 0, &mut []).plain, "{special:#x} at {position}");
            }
        }
        let plain: Vec<u8> = (0x20..0x7f).filter(|byte| !matches!(byte, b'"' | b'\\')).collect();
        assert!(split(&plain, 0, &mut []).plain);
    }
}
