//! Zstandard in Rust alone, for builds without a C compiler: frame after frame, as the C library reads
//! them, where `ruzstd` reads one.
//!
//! Unlike the C library, the decoder keeps the window of a frame to itself until the frame ends, so that
//! text comes later than it could. Where a stream is cut within a block, nothing of that block is given.

use std::io::{self, BufRead, BufReader, Read};

use ruzstd::decoding::errors::{FrameDecoderError, ReadFrameHeaderError};
use ruzstd::decoding::{BlockDecodingStrategy, FrameDecoder};

/// What a block holds at the most: <https://www.rfc-editor.org/rfc/rfc8878#section-3.1.1.2>
const MAX_BLOCK_BYTES: usize = 128 << 10;

/// A last block without content, and room for a checksum behind it.
const EMPTY_LAST_BLOCK: &[u8] = &[0x01, 0, 0, 0, 0, 0, 0];

/// Decodes all frames of a stream.
pub(crate) struct ZstdFrames<R> {
    source: BufReader<Source<R>>,
    decoder: FrameDecoder,
    state: State,
}

enum State {
    BetweenFrames,
    WithinFrame,
    /// So many bytes in the decoder are whole still.
    Failed(io::Error, usize),
    Ended,
}

impl<R: Read> ZstdFrames<R> {
    pub(crate) fn new(reader: R) -> ZstdFrames<R> {
        let source = Source { reader, failure: None, has_ended: false };
        ZstdFrames {
            source: BufReader::with_capacity(64 << 10, source),
            decoder: FrameDecoder::new(),
            state: State::BetweenFrames,
        }
    }

    /// Reads the header of the next frame, or passes over a frame without content.
    fn begin(&mut self) -> io::Result<()> {
        if self.source.fill_buf()?.is_empty() {
            self.state = State::Ended;
            return Ok(());
        }
        match self.decoder.reset(&mut self.source) {
            Ok(()) => self.state = State::WithinFrame,
            Err(FrameDecoderError::ReadFrameHeaderError(ReadFrameHeaderError::SkipFrame { length, .. })) => {
                let length = u64::from(length);
                if io::copy(&mut self.source.by_ref().take(length), &mut io::sink())? < length {
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
            }
            Err(error) => return Err(corrupt(error)),
        }
        Ok(())
    }

    fn decode_block(&mut self) -> io::Result<()> {
        let outcome = self.decoder.decode_blocks(&mut self.source, BlockDecodingStrategy::UptoBlocks(1));
        outcome.map(drop).map_err(corrupt)
    }

    fn end(&mut self) -> io::Result<()> {
        let stored = self.decoder.get_checksum_from_data();
        if stored.is_some() && stored != self.decoder.get_calculated_checksum() {
            return Err(corrupt("Restored data doesn't match checksum"));
        }
        self.state = State::BetweenFrames;
        Ok(())
    }

    /// What has been decoded before an error comes first.
    fn fail(&mut self, error: io::Error) {
        let source = self.source.get_mut();
        // The decoder tells both of these in words of its own. What it holds is whole in either case; of a
        // block that is corrupt, it may hold a part.
        let (error, doubtful) = match source.failure.take() {
            Some(failure) => (failure, 0),
            None if source.has_ended => (io::Error::new(io::ErrorKind::UnexpectedEof, "incomplete frame"), 0),
            None => (error, MAX_BLOCK_BYTES),
        };
        let mut whole = 0;
        if matches!(self.state, State::WithinFrame) {
            // Only of a frame that has ended it gives everything.
            let ended = self.decoder.decode_blocks(EMPTY_LAST_BLOCK, BlockDecodingStrategy::UptoBlocks(1));
            whole = if ended.is_ok() { self.decoder.can_collect().saturating_sub(doubtful) } else { 0 };
        }
        self.state = State::Failed(error, whole);
    }
}

impl<R: Read> Read for ZstdFrames<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let outcome = match &mut self.state {
                State::BetweenFrames => self.begin(),
                State::WithinFrame if self.decoder.can_collect() > 0 => return self.decoder.read(buffer),
                State::WithinFrame if self.decoder.is_finished() => self.end(),
                State::WithinFrame => self.decode_block(),
                State::Failed(_, whole) if *whole > 0 => {
                    let length = buffer.len().min(*whole);
                    let count = self.decoder.read(&mut buffer[..length])?;
                    *whole -= count;
                    return Ok(count);
                }
                State::Failed(..) => match std::mem::replace(&mut self.state, State::Ended) {
                    State::Failed(error, _) => return Err(error),
                    _ => Ok(()),
                },
                State::Ended => return Ok(0),
            };
            if let Err(error) = outcome {
                self.fail(error);
            }
        }
    }
}

fn corrupt(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error)
}

/// Keeps what the decoder would hide in an error of its own.
struct Source<R> {
    reader: R,
    failure: Option<io::Error>,
    has_ended: bool,
}

impl<R: Read> Read for Source<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.reader.read(buffer) {
                Ok(count) => {
                    self.has_ended = count == 0;
                    return Ok(count);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    let kind = error.kind();
                    self.failure = Some(error);
                    return Err(kind.into());
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    /// What comes of a stream, read to its end or to an error.
    fn decode(stream: impl Read) -> (Vec<u8>, Option<io::Error>) {
        let mut text = Vec::new();
        let error = ZstdFrames::new(stream).read_to_end(&mut text).err();
        (text, error)
    }

    fn skippable(content: &[u8]) -> Vec<u8> {
        [&[0x53, 0x2a, 0x4d, 0x18], &(content.len() as u32).to_le_bytes()[..], content].concat()
    }

    /// A frame of several blocks and a checksum, in windows of 128 KiB.
    fn frame(text: &[u8]) -> Vec<u8> {
        let mut encoder = zstd::Encoder::new(Vec::new(), 1).unwrap();
        encoder.include_checksum(true).unwrap();
        encoder.window_log(17).unwrap();
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap()
    }

    /// Text that compresses, but not to nothing.
    fn text() -> Vec<u8> {
        let mut random = 1_u64;
        let mut number = || {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            random >> 40
        };
        (0..60_000).flat_map(|line| format!("{line} {}\n", number()).into_bytes()).collect()
    }

    #[test]
    fn all_frames_are_decoded_and_skippable_ones_passed_over() {
        let text = text();
        let small = zstd::encode_all(&b"second\n"[..], 3).unwrap();
        let stream =
            [skippable(b"in front"), frame(&text), frame(b""), skippable(b""), skippable(b"between"), small].concat();
        let expected = [&text[..], b"second\n"].concat();
        assert_eq!(zstd::decode_all(&stream[..]).unwrap(), expected);
        let (found, error) = decode(&stream[..]);
        assert!(found == expected);
        assert!(error.is_none(), "{error:?}");
        assert!(decode(&[][..]).1.is_none());
    }

    #[test]
    fn a_cut_stream_gives_what_the_c_library_gives() {
        // Of a block that is stored as it is, the C library would give a part.
        let (skippable, second) = (skippable(b"between"), frame(&b"second\n".repeat(50)));
        let stream = [frame(&text()), skippable.clone(), second.clone()].concat();
        let first = stream.len() - skippable.len() - second.len();
        let whole = [first, first + skippable.len(), stream.len()];
        let ends = (4..=stream.len()).filter(|end| end % 9973 == 0 || *end < 30 || end + 60 > stream.len());
        for end in ends {
            let (found, error) = decode(&stream[..end]);
            let mut expected = Vec::new();
            let outcome = zstd::Decoder::new(&stream[..end]).unwrap().read_to_end(&mut expected);
            let said = |error: io::Error| (error.kind(), error.to_string());
            assert!(found == expected, "cut at byte {end}: {} and {} bytes", found.len(), expected.len());
            assert_eq!(error.map(said), outcome.err().map(said), "cut at byte {end}");
            assert_eq!(zstd::decode_all(&stream[..end]).is_ok(), whole.contains(&end));
        }
    }

    #[test]
    fn a_corrupt_stream_gives_what_stands_before_and_then_an_error() {
        let text = text();
        let mut corrupt = frame(&text);
        let place = corrupt.len() * 3 / 4;
        corrupt[place..place + 500].fill(0xff);
        let (found, error) = decode(&corrupt[..]);
        assert_eq!(error.unwrap().kind(), io::ErrorKind::InvalidData);
        assert!(text.starts_with(&found) && found.len() > text.len() / 3, "{} of {}", found.len(), text.len());

        let mut corrupt = frame(b"first\n");
        *corrupt.last_mut().unwrap() ^= 1;
        let (found, error) = decode(&corrupt[..]);
        assert_eq!(
            (&found[..], error.unwrap().to_string().as_str()),
            (&b"first\n"[..], "Restored data doesn't match checksum")
        );

        let (found, error) = decode(&[&frame(b"first\n")[..], b"text"].concat()[..]);
        assert_eq!((&found[..], error.unwrap().kind()), (&b"first\n"[..], io::ErrorKind::InvalidData));
    }

    #[test]
    fn an_error_of_the_reader_comes_as_it_is() {
        struct Fails;
        impl Read for Fails {
            fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
                Err(io::Error::new(io::ErrorKind::ConnectionReset, "the line is down"))
            }
        }
        let frame = frame(b"first\n");
        for end in [0, 3, frame.len() - 2, frame.len()] {
            let (found, error) = decode(frame[..end].chain(Fails));
            let error = error.unwrap();
            assert_eq!(
                (error.kind(), error.to_string().as_str()),
                (io::ErrorKind::ConnectionReset, "the line is down")
            );
            assert_eq!(found, if end < 10 { &b""[..] } else { b"first\n" });
        }
    }
}
