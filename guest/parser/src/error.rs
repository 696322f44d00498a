//! What can be wrong: with the options (an [`OpenError`] stops), with a record (a [`Reject`] costs
//! that record).

use std::borrow::Cow;
use std::fmt;

use crate::schema::Schema;

/// Why a transformer cannot be opened.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum OpenError {
    /// No schema has this name.
    UnknownSchema(String),
    /// The given format is none.
    BadFormat(FormatError),
    /// An option that the schema has no use for.
    NotInSchema {
        /// The option, in words.
        option: &'static str,
        /// The schema's name.
        schema: &'static str,
    },
    /// Bytes that are no MaxMind DB file.
    BadDatabase(String),
}

/// Why a list of names is not a format.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FormatError {
    /// Not spelled like a field name.
    BadName(String),
    /// One field in two columns.
    FieldTwice(String),
    /// Not one field that AWS names.
    NoKnownField,
    /// Over the limit of 250.
    TooManyColumns,
}

impl fmt::Display for FormatError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            FormatError::BadName(name) => write!(f, "the format has {name}, which is not a field name"),
            FormatError::FieldTwice(name) => write!(f, "the format has the field {name} twice"),
            FormatError::NoKnownField => f.write_str("the format has no field that AWS names"),
            FormatError::TooManyColumns => {
                write!(f, "the format has more than {} columns", crate::format::MAX_COLUMNS)
            }
        }
    }
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            OpenError::UnknownSchema(name) => {
                let names = Schema::ALL.map(Schema::name).join(", ");
                write!(f, "no schema is called {name}; there are {names}")
            }
            OpenError::BadFormat(error) => error.fmt(f),
            OpenError::NotInSchema { option, schema } => write!(f, "the schema {schema} has no place for {option}"),
            OpenError::BadDatabase(error) => f.write_str(error),
        }
    }
}

impl std::error::Error for FormatError {}
impl std::error::Error for OpenError {}

/// Why a record was rejected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reason {
    /// The line is longer than the limit.
    LineTooLong,
    /// The line is not UTF-8.
    NotUtf8,
    /// No format was given, no header stood before, and no published order of AWS fits.
    UnknownFormat,
    /// More or fewer columns than the format in force.
    ColumnCount,
    /// A value that its field does not allow.
    BadValue,
    /// JSON that is unfinished or ill-formed.
    BadJson,
    /// JSON that is no flow log record.
    NotARecord,
    /// An envelope that cannot be unpacked: its base64, its gzip data or its parts.
    BadEnvelope,
}

impl Reason {
    /// Its name as the WIT interface spells it.
    pub fn name(self) -> &'static str {
        match self {
            Reason::LineTooLong => "line-too-long",
            Reason::NotUtf8 => "not-utf8",
            Reason::UnknownFormat => "unknown-format",
            Reason::ColumnCount => "column-count",
            Reason::BadValue => "bad-value",
            Reason::BadJson => "bad-json",
            Reason::NotARecord => "not-a-record",
            Reason::BadEnvelope => "bad-envelope",
        }
    }
}

/// A record that became no event. Nothing of it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reject {
    /// Index of the line within the input, from 0.
    pub line: u32,
    /// Where the line begins within the input, in bytes; where several JSON objects stand on one
    /// line, where the object begins.
    pub offset: usize,
    /// Length of the line or object in bytes, without its line end.
    pub length: usize,
    /// Where that is an envelope: which of its log events.
    pub event: Option<RejectedEvent>,
    /// What is wrong.
    pub fault: Fault,
}

/// A log event within an envelope.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RejectedEvent {
    /// Its index within the envelope, from 0.
    pub index: u32,
    /// Its message, or its JSON where it has none.
    pub text: String,
}

/// What is wrong with a record, where, and what was wanted instead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The kind of fault.
    pub reason: Reason,
    /// The column of the line, from 1; absent where the fault is not in a column.
    pub column: Option<u32>,
    /// The field that the column, or the JSON key, stands for.
    pub field: Option<Cow<'static, str>>,
    /// What was found, cut to [`Fault::FOUND_CHARS`] characters.
    pub found: String,
    /// What was wanted.
    pub wanted: Cow<'static, str>,
}

impl Fault {
    /// The longest `found`, in characters.
    pub const FOUND_CHARS: usize = 100;

    pub(crate) fn new(reason: Reason, found: impl Into<String>, wanted: impl Into<Cow<'static, str>>) -> Box<Fault> {
        Box::new(Fault { reason, column: None, field: None, found: found.into(), wanted: wanted.into() })
    }

    /// `value` as a message shows it.
    pub(crate) fn excerpt(value: &[u8]) -> String {
        // No character takes more than four bytes, so the cut leaves FOUND_CHARS of them.
        let value = &value[..value.len().min(4 * Fault::FOUND_CHARS)];
        String::from_utf8_lossy(value).chars().take(Fault::FOUND_CHARS).collect()
    }
}

impl fmt::Display for Fault {
    /// `column 6, srcport: found "https", wanted a port, 0 to 65535`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(column) = self.column {
            write!(f, "column {column}, ")?;
        }
        if let Some(field) = &self.field {
            write!(f, "{field}: ")?;
        }
        write!(f, "found {:?}, wanted {}", self.found, self.wanted)
    }
}
