//! A record: the values of one line under a format, whatever the line was written in.

use crate::field::Field;
use crate::format::Slots;
use crate::line::Value;

/// What the schemas read. Absent values (`-`, JSON `null`, no such column) are empty ranges.
pub(crate) struct Record<'a> {
    /// The record as it was received.
    pub(crate) message: Text<'a>,
    /// What the ranges of `values` refer to.
    pub(crate) text: &'a [u8],
    pub(crate) values: &'a [Value],
    /// All values together are no longer than this.
    pub(crate) value_bytes: usize,
    pub(crate) slots: &'a Slots,
    /// Whether no value needs an escape in JSON.
    pub(crate) plain: bool,
}

/// A text with what lies behind it in its buffer, and whether it can stand in a JSON string as it is.
#[derive(Clone, Copy)]
pub(crate) struct Text<'a> {
    /// The buffer from the beginning of the text on.
    pub(crate) tail: &'a [u8],
    pub(crate) length: usize,
    pub(crate) plain: bool,
}

impl<'a> Text<'a> {
    pub(crate) fn whole(text: &'a [u8], plain: bool) -> Text<'a> {
        Text { tail: text, length: text.len(), plain }
    }

    pub(crate) fn bytes(self) -> &'a [u8] {
        &self.tail[..self.length]
    }
}

impl<'a> Record<'a> {
    /// The field's text, if the record has it.
    #[inline]
    pub(crate) fn text(&self, field: Field) -> Option<Text<'a>> {
        let value = self.value(field)?;
        Some(Text { tail: &self.text[value.start..], length: value.end - value.start, plain: self.plain })
    }

    /// The field's number, if the record has it: a time in Unix milliseconds.
    #[inline]
    pub(crate) fn number(&self, field: Field) -> Option<u64> {
        self.value(field).map(|value| value.number)
    }

    #[inline]
    fn value(&self, field: Field) -> Option<&'a Value> {
        // NO_COLUMN is beyond every list of values.
        self.values.get(usize::from(self.slots[field as usize])).filter(|value| value.start < value.end)
    }
}
