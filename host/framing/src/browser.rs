//! What stands for `native` where there are no files and no C.

use std::io::{self, Read};

use bytes::Bytes;

use crate::zstd_frames::ZstdFrames;

/// Decodes Zstandard.
pub(crate) type ZstdDecoder<R> = ZstdFrames<R>;

/// A stream that can be read at any place.
pub(crate) type Spooled = Bytes;

pub(crate) fn zstd_decoder<R: Read>(reader: R) -> io::Result<ZstdDecoder<R>> {
    Ok(ZstdFrames::new(reader))
}

/// Reads what is left of a stream into memory.
pub(crate) fn spool(mut reader: impl Read) -> io::Result<Spooled> {
    let mut bytes = Vec::new();
    reader.read_to_end(&mut bytes)?;
    Ok(bytes.into())
}
