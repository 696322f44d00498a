//! Streams to batches of whole lines, natively and in a browser.
//!
//! The flow: [`decompress`] tells from the first bytes what a stream is, and gives its lines, of Parquet too;
//! [`Framer`] cuts them at line ends into [`Lines`]. An input that can be read at any place is asked with
//! [`is_parquet`] first, and then read by [`ParquetLines`] without a copy.
//!
//! ```
//! use vpcflow_framing::{Framer, Framing, Lines, decompress};
//!
//! let framing = Framing { batch_bytes: 1 << 20, max_line_bytes: 1 << 20, fill: true };
//! let mut framer = Framer::new(decompress(&b"version srcaddr\n2 10.0.0.1\n"[..])?, framing);
//! let mut lines = Lines::default();
//! assert!(framer.next(&mut lines)?);
//! assert_eq!(lines.bytes(), b"version srcaddr\n2 10.0.0.1\n");
//! assert!(!framer.next(&mut lines)?);
//! # Ok::<(), std::io::Error>(())
//! ```
//!
//! What this crate does not do: it opens no file and no socket, starts no thread and knows no field of AWS's.
//! Whether a stream may go to another thread is up to the reader that it is made of.
//!
//! Where the two builds differ is in `native` and `browser`: for wasm, Zstandard is decoded in Rust
//! (`zstd_frames`), and Parquet that comes as a stream is held in memory instead of in a temporary file.

#[cfg(target_family = "wasm")]
mod browser;
mod decompress;
mod framer;
#[cfg(not(target_family = "wasm"))]
mod native;
#[cfg(feature = "parquet")]
mod parquet;
#[cfg(not(feature = "parquet"))]
#[path = "without_parquet.rs"]
mod parquet;
#[cfg(any(test, target_family = "wasm"))]
mod zstd_frames;

#[cfg(target_family = "wasm")]
use browser as platform;
#[cfg(not(target_family = "wasm"))]
use native as platform;

pub use crate::parquet::ParquetLines;
pub use decompress::{Decompressed, GZIP_MAGIC, PARQUET_MAGIC, ZSTD_MAGIC, decompress, is_parquet};
pub use framer::{Framer, Framing, Lines, smallest};
