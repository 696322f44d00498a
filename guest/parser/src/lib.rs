//! Turns AWS flow log records into ECS events: bytes in, bytes out.
//!
//! A record is a text line under a [format](Options::format), or a JSON object. It becomes one
//! event in the vocabulary of a [`Schema`], or a [`Reject`] that says where and why:
//!
//! ```
//! use vpcflow_parser::{Batch, Options, Transformer};
//!
//! let mut transformer = Transformer::open(&Options::default())?;
//! let mut batch = Batch::default();
//! transformer.transform(b"version srcaddr dstaddr srcport\n2 10.0.0.1 10.0.0.2 443\n2 10.0.0.1 10.0.0.2 https\n", &mut batch);
//!
//! assert_eq!((batch.counts.lines, batch.counts.events, batch.counts.rejects, batch.counts.skips), (3, 1, 1, 1));
//! assert!(batch.events.starts_with(br#"{"message":"2 10.0.0.1 10.0.0.2 443","#));
//! let fault = &batch.rejects[0].fault;
//! assert_eq!((fault.column, fault.found.as_str()), (Some(4), "https"));
//! assert_eq!(fault.wanted, "a port, 0 to 65535");
//! # Ok::<(), vpcflow_parser::OpenError>(())
//! ```
//!
//! What this crate does not do: it reads and writes no file, opens no socket, asks no clock and
//! draws no random number. The same input gives the same bytes, for every cut at line ends.
//!
//! The flow: [`Transformer::transform`] splits a line to columns (`line`), reads them under the format
//! in force (`format`, `value`, `address`) to a record (`record`; `json_record` for JSON), and has the
//! schema write the event (`schema`, with `json`, `time` and `protocol`).

mod address;
mod error;
mod field;
mod format;
mod json;
mod json_record;
mod line;
mod protocol;
mod record;
mod schema;
mod time;
mod transformer;
mod value;

pub use error::{Fault, FormatError, OpenError, Reason, Reject};
pub use field::{Field, FieldInfo};
pub use schema::Schema;
pub use transformer::{Batch, Counts, Options, Transformer};
pub use value::{Kind, Shape};
