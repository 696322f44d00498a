//! A record: the values of one line under a format, whatever the line was written in.

use std::collections::BTreeSet;

use crate::field::Field;
use crate::line::Value;

/// Which value belongs to which field.
#[derive(Clone, Debug)]
pub(crate) struct Layout {
    slots: [u8; Field::ALL.len()],
    /// The fields that have a slot, in the order of the table.
    pub(crate) fields: Vec<Field>,
    /// Names that AWS does not have, or not yet.
    pub(crate) unknown: Vec<Unknown>,
    /// The members of the unknown names.
    members: BTreeSet<String>,
}

/// No slot of a known field: there are fewer of them, and fewer columns. Unknown ones of JSON may lie beyond.
const NO_SLOT: u8 = u8::MAX;

/// A value under a name that is not in the table.
#[derive(Clone, Debug)]
pub(crate) struct Unknown {
    pub(crate) name: Box<str>,
    /// The name with underscores for all that is no letter or digit, and unlike every other one.
    pub(crate) member: Box<str>,
    pub(crate) slot: usize,
}

impl Layout {
    pub(crate) fn new() -> Layout {
        Layout { slots: [NO_SLOT; Field::ALL.len()], fields: Vec::new(), unknown: Vec::new(), members: BTreeSet::new() }
    }

    pub(crate) fn clear(&mut self) {
        self.slots = [NO_SLOT; Field::ALL.len()];
        self.fields.clear();
        self.unknown.clear();
        self.members.clear();
    }

    /// The slot of a field, or one beyond every list of values.
    #[inline]
    pub(crate) fn slot(&self, field: Field) -> usize {
        match self.slots[field as usize] {
            NO_SLOT => usize::MAX,
            slot => slot.into(),
        }
    }

    pub(crate) fn has(&self, field: Field) -> bool {
        self.slots[field as usize] != NO_SLOT
    }

    pub(crate) fn add(&mut self, field: Field, slot: usize) {
        self.slots[field as usize] = u8::try_from(slot).expect("there are fewer fields and columns than NO_SLOT");
        let place = self.fields.partition_point(|&other| (other as usize) < field as usize);
        self.fields.insert(place, field);
    }

    pub(crate) fn add_unknown(&mut self, name: &str, slot: usize) {
        let mut member: String =
            name.chars().map(|letter| if letter.is_alphanumeric() { letter } else { '_' }).collect();
        // Names of the table count as theirs, in whatever spelling; so do those that a schema makes itself.
        let is_taken = |member: &str| {
            member.is_empty()
                || Field::by_name(member).is_some()
                || TAKEN_NAMES.contains(&member)
                || self.members.contains(member)
        };
        while is_taken(&member) {
            member += &format!("_{slot}");
        }
        self.members.insert(member.clone());
        self.unknown.push(Unknown { name: name.into(), member: member.into(), slot });
    }
}

/// Members that the schema `elastic` has where it puts unknown names.
const TAKEN_NAMES: [&str; 4] = ["pkt_dst_service", "pkt_src_service", "sublocation", "tcp_flags_array"];

/// What the schemas read. Absent values (`-`, JSON `null`, no such column) are empty ranges.
pub(crate) struct Record<'a> {
    /// The record as it was received.
    pub(crate) message: Text<'a>,
    /// What the ranges of `values` refer to.
    pub(crate) text: &'a [u8],
    pub(crate) values: &'a [Value],
    /// All values together are no longer than this.
    pub(crate) value_bytes: usize,
    pub(crate) layout: &'a Layout,
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
        self.text_at(self.layout.slot(field))
    }

    /// The field's number, if the record has it: a time in Unix milliseconds.
    #[inline]
    pub(crate) fn number(&self, field: Field) -> Option<u64> {
        self.value(self.layout.slot(field)).map(|value| value.number)
    }

    /// What is not in the table, and its values.
    pub(crate) fn unknown(&self) -> impl Iterator<Item = (&'a Unknown, Text<'a>)> {
        self.layout.unknown.iter().filter_map(|unknown| Some((unknown, self.text_at(unknown.slot)?)))
    }

    #[inline]
    fn text_at(&self, slot: usize) -> Option<Text<'a>> {
        let value = self.value(slot)?;
        Some(Text { tail: &self.text[value.start..], length: value.end - value.start, plain: self.plain })
    }

    #[inline]
    fn value(&self, slot: usize) -> Option<&'a Value> {
        self.values.get(slot).filter(|value| value.start < value.end)
    }
}
