//! What only a machine with files and a C compiler has.

use std::fs::File;
use std::io::{self, BufReader, Read};

/// Decodes Zstandard.
pub(crate) type ZstdDecoder<R> = zstd::stream::read::Decoder<'static, BufReader<R>>;

/// A stream that can be read at any place.
pub(crate) type Spooled = File;

pub(crate) fn zstd_decoder<R: Read>(reader: R) -> io::Result<ZstdDecoder<R>> {
    ZstdDecoder::new(reader)
}

/// Writes what is left of a stream to a temporary file.
pub(crate) fn spool(mut reader: impl Read) -> io::Result<Spooled> {
    let mut file = tempfile::tempfile()?;
    io::copy(&mut reader, &mut file)?;
    Ok(file)
}
