//! A look at every record that becomes an event, for a caller that counts what goes by or takes a part of it.

use crate::field::Field;
use crate::record::Record;

/// Who looks. `()` does not, and costs nothing.
pub trait Watch {
    /// A header line has come: which line of the input, from 0, and what is in force now. Where the options give
    /// the format, that is none.
    fn header(&mut self, line: u32, header: Option<&str>);

    /// Whether the event of this record is to be written. As an event it counts in any case.
    fn wants(&mut self, flow: &Flow<'_>) -> bool;

    /// The record's event, which has been written.
    fn event(&mut self, flow: &Flow<'_>, event: &[u8]);
}

impl Watch for () {
    #[inline(always)]
    fn header(&mut self, _: u32, _: Option<&str>) {}

    #[inline(always)]
    fn wants(&mut self, _: &Flow<'_>) -> bool {
        true
    }

    #[inline(always)]
    fn event(&mut self, _: &Flow<'_>, _: &[u8]) {}
}

/// What a record says of its flow. Each value is absent where the record has none.
pub struct Flow<'a> {
    pub(crate) record: &'a Record<'a>,
    /// Index of the record's line within the input, from 0.
    pub line: u32,
}

/// What became of the traffic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// `ACCEPT`.
    Accepted,
    /// `REJECT`.
    Rejected,
}

/// As seen from the interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// Into it.
    Ingress,
    /// Out of it.
    Egress,
}

impl<'a> Flow<'a> {
    #[inline(always)]
    pub(crate) fn new(record: &'a Record<'a>, line: u32) -> Flow<'a> {
        Flow { record, line }
    }

    /// The record as it was received, in UTF-8: a line, or an object of an envelope.
    #[inline]
    pub fn message(&self) -> &'a [u8] {
        self.record.message.bytes()
    }

    /// The source address, as the record spells it.
    #[inline]
    pub fn source_address(&self) -> Option<&'a [u8]> {
        self.text(Field::Srcaddr)
    }

    /// The destination address, as the record spells it.
    #[inline]
    pub fn destination_address(&self) -> Option<&'a [u8]> {
        self.text(Field::Dstaddr)
    }

    /// The destination port.
    #[inline]
    pub fn destination_port(&self) -> Option<u16> {
        self.number(Field::Dstport).and_then(|port| port.try_into().ok())
    }

    /// The IANA protocol number.
    #[inline]
    pub fn protocol(&self) -> Option<u8> {
        self.number(Field::Protocol).and_then(|protocol| protocol.try_into().ok())
    }

    /// Bytes of the flow.
    #[inline]
    pub fn bytes(&self) -> Option<u64> {
        self.number(Field::Bytes)
    }

    /// When the flow began, in Unix milliseconds.
    #[inline]
    pub fn start_millis(&self) -> Option<u64> {
        self.number(Field::Start)
    }

    /// Whether the traffic was let through.
    #[inline]
    pub fn verdict(&self) -> Option<Verdict> {
        match self.text(Field::Action)? {
            // Letters instead of words: to compare a few bytes, WebAssembly calls a function.
            [b'A', b'C', b'C', b'E', b'P', b'T'] => Some(Verdict::Accepted),
            [b'R', b'E', b'J', b'E', b'C', b'T'] => Some(Verdict::Rejected),
            _ => None,
        }
    }

    /// Which way the traffic went.
    #[inline]
    pub fn direction(&self) -> Option<Direction> {
        match self.text(Field::FlowDirection)? {
            [b'i', b'n', b'g', b'r', b'e', b's', b's'] => Some(Direction::Ingress),
            [b'e', b'g', b'r', b'e', b's', b's'] => Some(Direction::Egress),
            _ => None,
        }
    }

    #[inline]
    fn text(&self, field: Field) -> Option<&'a [u8]> {
        self.record.text(field).map(|text| text.bytes())
    }

    #[inline]
    fn number(&self, field: Field) -> Option<u64> {
        self.record.number(field)
    }
}
