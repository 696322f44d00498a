//! A stream as its lines: plain, gzip, zstd or Parquet, the latter also within the former, as its first
//! bytes tell.

use std::io::{self, BufReader, Chain, Cursor, Read, Seek};
use std::sync::Arc;

use flate2::bufread::MultiGzDecoder;

use crate::parquet::ParquetLines;
use crate::platform::{Spooled, ZstdDecoder, spool, zstd_decoder};

/// What a gzip stream begins with.
pub const GZIP_MAGIC: &[u8] = &[0x1f, 0x8b];
/// What a Zstandard stream begins with.
pub const ZSTD_MAGIC: &[u8] = &[0x28, 0xb5, 0x2f, 0xfd];
/// What a Parquet file begins with.
pub const PARQUET_MAGIC: &[u8] = b"PAR1";

/// The lines of a stream, whatever it was packed as. It can be sent to another thread if `R` can.
pub struct Decompressed<R>(Content<R>);

enum Content<R> {
    Text(Whole<Unpacked<R>>),
    Parquet(ParquetLines<Spooled>),
}

enum Unpacked<R> {
    Stored(Whole<R>),
    Gzip(Pieces<Box<MultiGzDecoder<BufReader<Whole<R>>>>>),
    Zstd(Pieces<Box<ZstdDecoder<Whole<R>>>>),
}

/// A reader with the bytes in front of it that have been read to look at them.
type Whole<R> = Chain<Cursor<Vec<u8>>, R>;

/// Decompresses what `reader` gives, as its first bytes tell.
///
/// Parquet begins at its end, so that of a stream it is kept as a whole first: in a temporary file, or in
/// memory where there are no files. An input that can be read at any place needs no such copy; see
/// [`is_parquet`].
pub fn decompress<R: Read>(mut reader: R) -> io::Result<Decompressed<R>> {
    let magic = first_bytes(&mut reader, &[GZIP_MAGIC, ZSTD_MAGIC])?;
    let is_gzip = magic.starts_with(GZIP_MAGIC);
    let is_zstd = magic.starts_with(ZSTD_MAGIC);
    let whole = Cursor::new(magic).chain(reader);
    let mut unpacked = match () {
        () if is_gzip => {
            Unpacked::Gzip(Pieces(Box::new(MultiGzDecoder::new(BufReader::with_capacity(64 << 10, whole)))))
        }
        () if is_zstd => Unpacked::Zstd(Pieces(Box::new(zstd_decoder(whole)?))),
        () => Unpacked::Stored(whole),
    };
    let magic = first_bytes(&mut unpacked, &[PARQUET_MAGIC])?;
    let is_parquet = magic == PARQUET_MAGIC;
    let whole = Cursor::new(magic).chain(unpacked);
    Ok(Decompressed(match is_parquet {
        // The stream has been counted.
        true => Content::Parquet(ParquetLines::open(spool(whole)?, Arc::default())?),
        false => Content::Text(whole),
    }))
}

/// Whether an input that can be read at any place is a Parquet file, which [`ParquetLines`] reads directly.
/// Leaves it at its beginning.
pub fn is_parquet(mut input: impl Read + Seek) -> io::Result<bool> {
    let magic = first_bytes(&mut input, &[PARQUET_MAGIC])?;
    input.rewind()?;
    Ok(magic == PARQUET_MAGIC)
}

impl<R: Read> Read for Decompressed<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match &mut self.0 {
            Content::Text(reader) => reader.read(buffer),
            Content::Parquet(reader) => reader.read(buffer),
        }
    }
}

impl<R: Read> Read for Unpacked<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Unpacked::Stored(reader) => reader.read(buffer),
            Unpacked::Gzip(reader) => reader.read(buffer),
            Unpacked::Zstd(reader) => reader.read(buffer),
        }
    }
}

/// As many bytes as it takes to tell the magic numbers apart, but no more: more may not have come yet.
fn first_bytes(reader: &mut impl Read, magics: &[&[u8]]) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let is_open = |bytes: &[u8]| magics.iter().any(|magic| bytes.len() < magic.len() && magic.starts_with(bytes));
    while is_open(&bytes) && reader.by_ref().take(1).read_to_end(&mut bytes)? == 1 {}
    Ok(bytes)
}

/// Reads a decoder in small pieces: one that meets a corrupt place gives nothing of the piece that it
/// was asked for, not even what stands before that place.
struct Pieces<R>(R);

const PIECE_BYTES: usize = 4096;

impl<R: Read> Read for Pieces<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = buffer.len().min(PIECE_BYTES);
        self.0.read(&mut buffer[..length])
    }
}
