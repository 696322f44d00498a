//! Turns AWS flow log records into ECS events: bytes in, bytes out.
//!
//! A record is a text line under a [format](Options::format), or a JSON object. It becomes one
//! event in the vocabulary of a [`Schema`], or a [`Reject`] that says where and why:
//!
//! ```
//! use vpcflow_parser::{Batch, Context, Options, Transformer};
//!
//! let mut transformer = Transformer::open(Options::default())?;
//! let mut batch = Batch::default();
//! let lines = b"version srcaddr dstaddr srcport\n2 10.0.0.1 10.0.0.2 443\n2 10.0.0.1 10.0.0.2 https\n";
//! transformer.transform(lines, &Context::default(), &mut batch);
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
//! The flow: [`Transformer::transform`] takes line by line (`line`). A text line is read under the format
//! in force (`text_record`, `format`, `value`, `address`); JSON is unpacked (`envelope`) to text lines and to
//! objects of fields (`json_record`). Either gives a `record`, of which the schema writes the event (`schema`,
//! with `json`, `time`, `protocol`, `community_id`, `identity` and `enrichment`).
//! [`CarrierTransformer`] does the same for one record in an object of another pipeline.
//! [`Watch`] looks at what goes by. [`describe`] and [`Transformer::explain`] tell people where each value goes,
//! [`vocabulary`] tells a destination what to expect.

mod address;
mod carrier;
mod community_id;
mod describe;
mod enrichment;
mod envelope;
mod error;
mod explain;
mod field;
mod format;
mod identity;
mod json;
mod json_record;
mod line;
mod protocol;
mod record;
mod schema;
mod text_record;
mod time;
mod transformer;
mod value;
mod vocabulary;
mod watch;

pub use carrier::{Carried, CarrierTransformer};
pub use describe::{FieldDescription, describe};
pub use enrichment::Databases;
pub use error::{Fault, FormatError, OpenError, Reason, Reject, RejectedEvent};
pub use explain::{ColumnReading, Explanation, Outcome};
pub use field::{Field, FieldInfo};
pub use line::columns;
pub use protocol::protocol_name;
pub use schema::{Schema, TimeField};
pub use time::Moment;
pub use transformer::{Batch, Context, Counts, Options, Transformer};
pub use value::{Kind, Shape};
pub use vocabulary::{Member, MemberKind, Vocabulary, vocabulary};
pub use watch::{Direction, Flow, Verdict, Watch};
