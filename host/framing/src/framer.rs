//! Bytes to batches of whole lines. Nothing is held back: when the input pauses, every line that
//! has arrived goes on.
//!
//! JSON objects may run together without a line end between them, as Firehose writes them, for a whole
//! file even. Such a line is cut where an object begins.

use std::io::{self, Read};
use std::mem;

use memchr::{memchr, memchr_iter, memrchr, memrchr_iter};

/// How large the batches are.
#[derive(Clone, Copy, Debug)]
pub struct Framing {
    /// What a batch holds at the most, unless one line is longer.
    pub batch_bytes: usize,
    /// The longest line that must arrive whole. Of a longer one, more than this many bytes are
    /// handed on, so that the module sees that it is too long; the rest may be passed over.
    pub max_line_bytes: usize,
    /// Whether to wait until a batch is full: right for files, wrong for a pipe that pauses.
    pub fill: bool,
}

/// Some whole lines. Kept from call to call, since its memory is used again.
#[derive(Debug, Default)]
pub struct Lines {
    buffer: Vec<u8>,
    length: usize,
    /// Where they begin in the (decompressed) stream, in bytes.
    pub offset: u64,
    /// Whether this is the beginning of one line or object that is too long.
    pub is_cut: bool,
    /// Whether this begins within a line of objects that run together.
    pub continues: bool,
}

impl From<Vec<u8>> for Lines {
    /// Takes them as the beginning of a stream.
    fn from(lines: Vec<u8>) -> Lines {
        Lines { length: lines.len(), buffer: lines, ..Lines::default() }
    }
}

impl Lines {
    /// The lines; the last one of a stream may lack its line feed.
    pub fn bytes(&self) -> &[u8] {
        &self.buffer[..self.length]
    }

    /// Leaves no line.
    pub fn clear(&mut self) {
        self.length = 0;
        self.is_cut = false;
        self.continues = false;
    }
}

/// Cuts a stream at line ends.
pub struct Framer<R> {
    reader: R,
    framing: Framing,
    /// The beginning of a line whose end has not arrived.
    carry: Vec<u8>,
    /// Where `carry` begins in the stream.
    offset: u64,
    /// Whether `carry` begins within a line.
    continues: bool,
    state: State,
}

enum State {
    Reading,
    /// Within a line, or an object, that is too long.
    PassingOver {
        is_json: bool,
    },
    Failed(io::Error),
    Ended,
}

impl<R: Read> Framer<R> {
    /// Frames what `reader` gives.
    pub fn new(reader: R, framing: Framing) -> Framer<R> {
        Framer { reader, framing, carry: Vec::new(), offset: 0, continues: false, state: State::Reading }
    }

    /// Gives the next lines, or `false` at the end. What is whole before an error comes first; an
    /// unfinished line or object before it is not given.
    pub fn next(&mut self, lines: &mut Lines) -> io::Result<bool> {
        let buffer = &mut lines.buffer;
        grow(buffer, self.framing.batch_bytes.max(1));
        if let State::PassingOver { is_json } = self.state {
            self.pass_over(buffer, is_json)?;
        }
        let mut failure = match mem::replace(&mut self.state, State::Reading) {
            State::Failed(error) => Some(error),
            State::Ended => return Ok(false),
            State::Reading | State::PassingOver { .. } => None,
        };
        // A buffer that one long line made large is not filled for that.
        let mut room = self.framing.batch_bytes.max(self.carry.len()).max(1);
        grow(buffer, room);
        buffer[..self.carry.len()].copy_from_slice(&self.carry);
        let mut filled = self.carry.len();
        let mut whole = 0;
        // How far line ends and objects have been looked for.
        let (mut lines_searched, mut objects_searched) = (0, 0);
        lines.is_cut = false;
        lines.continues = mem::take(&mut self.continues);
        loop {
            // The carry of a line that was passed over may hold whole lines already.
            if let Some(last) = memrchr(b'\n', &buffer[lines_searched..filled]) {
                whole = lines_searched + last + 1;
            }
            lines_searched = filled;
            let is_full = filled == room;
            if whole == 0 && (is_full || !self.framing.fill) && is_json(&buffer[..filled]) {
                whole = last_object(&buffer[..filled], objects_searched).unwrap_or(0);
                objects_searched = filled.saturating_sub(OVERLAP);
                self.continues = whole > 0;
            }
            if whole > 0 && (is_full || !self.framing.fill) {
                break;
            }
            if is_full {
                // Longer even without the carriage return that may be its last byte.
                if filled > self.framing.max_line_bytes + 1 {
                    whole = filled;
                    lines.is_cut = true;
                    self.state = State::PassingOver { is_json: is_json(&buffer[..filled]) };
                    break;
                }
                room = (2 * filled).clamp(filled + 1, self.framing.max_line_bytes.max(filled - 1) + 2);
                grow(buffer, room);
            }
            let outcome = match failure.take() {
                Some(error) => Err(error),
                None => read(&mut self.reader, &mut buffer[filled..room]),
            };
            match outcome {
                Ok(0) => {
                    whole = filled;
                    self.state = State::Ended;
                    break;
                }
                Ok(count) => filled += count,
                Err(error) => {
                    if whole == 0 && is_json(&buffer[..filled]) {
                        whole = last_object(&buffer[..filled], 0).unwrap_or(0);
                        self.continues = whole > 0;
                    }
                    self.state = State::Failed(error);
                    break;
                }
            }
        }
        self.carry.clear();
        self.carry.extend_from_slice(&buffer[whole..filled]);
        lines.length = whole;
        lines.offset = self.offset;
        self.offset += whole as u64;
        if whole == 0 {
            return match mem::replace(&mut self.state, State::Ended) {
                State::Failed(error) => Err(error),
                _ => Ok(false),
            };
        }
        // A batch that one long line had made large does not stay so.
        if buffer.len() > 2 * self.framing.batch_bytes && whole <= self.framing.batch_bytes {
            buffer.truncate(self.framing.batch_bytes);
            buffer.shrink_to_fit();
        }
        Ok(true)
    }

    /// Where the bytes begin that [`Framer::next`] has not given, and how many have been read of them.
    pub fn rest(&self) -> (u64, usize) {
        (self.offset, self.carry.len())
    }

    /// Reads on to the next line, or to the next object where objects run together.
    fn pass_over(&mut self, buffer: &mut Vec<u8>, is_json: bool) -> io::Result<()> {
        grow(buffer, 2 * OVERLAP);
        // What is kept from one reading to the next, since an object's sign may lie across them.
        let mut kept = 0;
        loop {
            let count = read(&mut self.reader, &mut buffer[kept..])?;
            let filled = kept + count;
            let line_end = memchr(b'\n', &buffer[kept..filled]).map(|end| kept + end);
            let line = &buffer[..line_end.unwrap_or(filled)];
            let object = if is_json { first_object(line) } else { None };
            if let Some(next) = object.or(line_end.map(|end| end + 1)) {
                self.offset += next as u64;
                self.carry.extend_from_slice(&buffer[next..filled]);
                self.continues = object.is_some();
                self.state = State::Reading;
                return Ok(());
            }
            if count == 0 {
                self.offset += filled as u64;
                self.state = State::Ended;
                return Ok(());
            }
            kept = filled.min(OVERLAP);
            self.offset += (filled - kept) as u64;
            buffer.copy_within(filled - kept..filled, 0);
        }
    }
}

/// Cuts whole lines as small as they can be: at line ends, and where a JSON object begins for certain.
/// Tells of each piece whether it begins within a line.
pub fn smallest(mut lines: &[u8]) -> impl Iterator<Item = (&[u8], bool)> {
    let mut continues = false;
    std::iter::from_fn(move || {
        let line_end = memchr(b'\n', lines).map_or(lines.len(), |end| end + 1);
        let object = if is_json(&lines[..line_end]) { first_object(&lines[..line_end]) } else { None };
        let (piece, rest) = lines.split_at(object.unwrap_or(line_end));
        lines = rest;
        let begins_within = mem::replace(&mut continues, object.is_some());
        (!piece.is_empty()).then_some((piece, begins_within))
    })
}

/// More than lies between the brackets of two objects and the key behind them.
const OVERLAP: usize = 64;

/// Whether a line is JSON, as far as its first byte tells.
fn is_json(line: &[u8]) -> bool {
    line.trim_ascii_start().starts_with(b"{")
}

/// Whether the bracket at `start` begins an object for certain: behind `}`, with `{"` and the beginning
/// of a key. Within a string of well-formed JSON that cannot stand: the quote would end the string,
/// and behind that comes a comma, a colon or a bracket.
fn begins_object(line: &[u8], start: usize) -> bool {
    let key = line[start + 1..].trim_ascii_start().strip_prefix(b"\"").and_then(<[u8]>::first);
    line[..start].trim_ascii_end().ends_with(b"}") && key.is_some_and(|byte| !b",:]} \t\r\n".contains(byte))
}

fn first_object(line: &[u8]) -> Option<usize> {
    memchr_iter(b'{', line).find(|&start| begins_object(line, start))
}

/// The last one that begins at `from` or later.
fn last_object(line: &[u8], from: usize) -> Option<usize> {
    memrchr_iter(b'{', &line[from..]).map(|start| from + start).find(|&start| begins_object(line, start))
}

fn grow(buffer: &mut Vec<u8>, length: usize) {
    if buffer.len() < length {
        buffer.resize(length, 0);
    }
}

fn read(reader: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    loop {
        match reader.read(buffer) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            outcome => return outcome,
        }
    }
}
