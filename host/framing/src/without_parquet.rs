//! What stands for `parquet` in a build without that feature: it says so.

use std::convert::Infallible;
use std::io::{self, Read};
use std::marker::PhantomData;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

/// Reads the rows of a Parquet file as lines, which takes the feature `parquet`.
pub struct ParquetLines<R> {
    never: Infallible,
    input: PhantomData<R>,
}

impl<R> ParquetLines<R> {
    /// Refuses the file.
    pub fn open(_: R, _: Arc<AtomicU64>) -> io::Result<ParquetLines<R>> {
        Err(io::Error::new(io::ErrorKind::Unsupported, "is Parquet, which this command was built without"))
    }
}

impl<R> Read for ParquetLines<R> {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        match self.never {}
    }
}
