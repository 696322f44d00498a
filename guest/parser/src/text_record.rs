//! Records in text: the columns of a line, read under the format in force.

use crate::error::{Fault, Reason};
use crate::field::Field;
use crate::format::{Column, Format, MAX_COLUMNS};
use crate::line::{self, Line, Value};
use crate::record::{Record, Text};

/// Reads text lines. Its only state is the columns in force.
#[derive(Debug)]
pub(crate) struct TextReader {
    max_line_bytes: usize,
    given: Option<Format>,
    header: Option<(Box<str>, Format)>,
    /// Memory that is used again for every line: room for one column more than any format has.
    values: [Value; MAX_COLUMNS + 1],
}

/// What a line is.
pub(crate) enum Read<'a> {
    Record(Record<'a>),
    /// Nothing but blanks.
    Blank,
    /// The names of columns; they are in force from now on, unless the caller has given others.
    Header,
}

impl TextReader {
    pub(crate) fn new(given: Option<Format>, max_line_bytes: usize) -> TextReader {
        TextReader { max_line_bytes, given, header: None, values: [Value::default(); MAX_COLUMNS + 1] }
    }

    /// The last header line.
    pub(crate) fn header(&self) -> Option<&str> {
        self.header.as_ref().map(|(line, _)| &**line)
    }

    /// Puts the columns of a header line in force, or none at all.
    pub(crate) fn set_header(&mut self, header: Option<&str>) {
        if self.given.is_none() && self.header() != header {
            let read = header.and_then(|line| Format::from_header(line.as_bytes()));
            self.header = read.map(|(line, format)| (line.into(), format));
        }
    }

    /// Splits the line that begins at `start`, for [`TextReader::read`].
    #[inline(always)]
    pub(crate) fn split(&mut self, input: &[u8], start: usize) -> Line {
        line::split(input, start, &mut self.values)
    }

    /// The columns of the line that was split last, as many as there is room for.
    pub(crate) fn values(&self, columns: usize) -> &[Value] {
        &self.values[..columns.min(MAX_COLUMNS)]
    }

    /// The format for a line of so many columns, as far as one is known.
    pub(crate) fn format(&self, columns: usize, input: &[u8]) -> Option<&Format> {
        let header = self.header.as_ref().map(|(_, format)| format);
        self.given.as_ref().or(header).or_else(|| published(columns, &self.values[1], input))
    }

    /// Whether the caller has given the format; else a header line has, or it is a guess.
    pub(crate) fn is_given(&self) -> bool {
        self.given.is_some()
    }

    /// Reads the line that was split last, which is `message` in `input`.
    #[inline(always)]
    pub(crate) fn read<'a>(
        &'a mut self,
        message: Text<'a>,
        input: &'a [u8],
        columns: usize,
    ) -> Result<Read<'a>, Box<Fault>> {
        // Before anything else: of a line that is too long, only the beginning may be here.
        check_length(message.bytes(), self.max_line_bytes)?;
        if columns == 0 {
            return Ok(Read::Blank);
        }
        if !message.plain {
            check_utf8(message.bytes())?;
        }
        if let Some((line, format)) = Format::from_header(message.bytes()) {
            if self.given.is_none() {
                self.header = Some((line.into(), format));
            }
            return Ok(Read::Header);
        }
        let header = self.header.as_ref().map(|(_, format)| format);
        let format = match self.given.as_ref().or(header) {
            Some(format) => format,
            None => published(columns, &self.values[1], input).ok_or_else(|| unknown_format(columns))?,
        };
        if columns != format.columns.len() {
            return Err(wrong_column_count(format, columns));
        }
        let values = &mut self.values[..columns];
        read_values(format, input, values)?;
        let record = Record {
            message,
            text: input,
            values,
            value_bytes: message.length,
            layout: &format.layout,
            plain: message.plain,
        };
        if format.guessed {
            check_guess(&record)?;
        }
        Ok(Read::Record(record))
    }
}

pub(crate) fn check_length(line: &[u8], max_line_bytes: usize) -> Result<(), Box<Fault>> {
    if line.len() <= max_line_bytes {
        return Ok(());
    }
    Err(Fault::new(Reason::LineTooLong, "a longer line", format!("at most {max_line_bytes} bytes")))
}

pub(crate) fn check_utf8(line: &[u8]) -> Result<&str, Box<Fault>> {
    std::str::from_utf8(line).map_err(|error| {
        let at = error.valid_up_to();
        Fault::new(Reason::NotUtf8, format!("byte 0x{:02x} at {at}", line[at]), "UTF-8")
    })
}

/// AWS's published order for so many columns; [`read_values`] and [`check_guess`] ask whether it fits.
fn published(columns: usize, second: &Value, text: &[u8]) -> Option<&'static Format> {
    // Only looked at where the line has one; else it is a value of an earlier line.
    Format::published(columns, || &text[second.start..second.end])
}

#[cold]
fn unknown_format(columns: usize) -> Box<Fault> {
    let wanted = "a header line before it, an order that AWS publishes \
                  (14, 21, 25, 29, 36, 39, 40, 41, 42 or 54 columns), or a format that is given";
    Fault::new(Reason::UnknownFormat, format!("{columns} columns"), wanted)
}

/// Reads each column as its field's kind, and makes absent values empty.
#[inline(never)]
fn read_values(format: &Format, text: &[u8], values: &mut [Value]) -> Result<(), Box<Fault>> {
    for (index, (column, value)) in format.columns.iter().zip(values).enumerate() {
        let Value { start, end, .. } = *value;
        if end - start == 1 && text[start] == b'-' {
            value.end = start;
            continue;
        }
        match column.kind.read(text, start, end) {
            Some(number) if !format.guessed || column.shape.fits(&text[start..end], number) => value.number = number,
            _ => return Err(bad_column(format, index, column, &text[start..end])),
        }
    }
    Ok(())
}

#[cold]
fn wrong_column_count(format: &Format, found: usize) -> Box<Fault> {
    let wanted = format!("{} columns: {}", format.columns.len(), format.names());
    Fault::new(Reason::ColumnCount, format!("{found} columns"), wanted)
}

const GIVE_FORMAT: &str = "; if the columns stand in another order, name them as the format";

#[cold]
fn bad_column(format: &Format, index: usize, column: &Column, found: &[u8]) -> Box<Fault> {
    let (reason, advice) = if format.guessed { (Reason::UnknownFormat, GIVE_FORMAT) } else { (Reason::BadValue, "") };
    let mut fault = Fault::new(reason, Fault::excerpt(found), wanted(column, found) + advice);
    fault.column = Some(index as u32 + 1);
    fault.field = Some(column.name.to_string().into());
    fault
}

/// What the column should hold instead of `found`.
pub(crate) fn wanted(column: &Column, found: &[u8]) -> String {
    let is_legal = column.kind.read(found, 0, found.len()).is_some();
    if is_legal { column.shape.wanted() } else { column.kind.wanted().into() }
}

/// Two orders of columns that fit the same kinds and shapes may still differ in these pairs, which
/// other published formats have the other way round. No bytes at all are no sign of that.
#[inline(always)]
fn check_guess(record: &Record<'_>) -> Result<(), Box<Fault>> {
    for (less, more) in [(Field::Start, Field::End), (Field::Packets, Field::Bytes)] {
        if let (Some(less_number), Some(more_number)) = (record.number(less), record.number(more))
            && less_number > more_number
            && more_number > 0
        {
            let wanted = format!("at least the {} of the same record{GIVE_FORMAT}", less.info().name);
            let found = record.text(more).map(|text| Fault::excerpt(text.bytes())).unwrap_or_default();
            let mut fault = Fault::new(Reason::UnknownFormat, found, wanted);
            fault.column = Some(record.layout.slot(more) as u32 + 1);
            fault.field = Some(more.info().name.into());
            return Err(fault);
        }
    }
    Ok(())
}
