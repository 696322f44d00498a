//! Bytes to batches of whole lines. Nothing is held back: when the input pauses, every line that
//! has arrived goes on.
//!
//! JSON objects may run together without a line end between them, as Firehose writes them, for a whole
//! file even. Such a line is cut where an object begins.

use std::io::{self, Read};
use std::mem;

use memchr::{memchr, memrchr};

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
    /// Whether this is the beginning of one line that is too long.
    pub is_cut: bool,
    /// Whether this begins within a line of objects that run together.
    pub continues: bool,
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
    /// Within a line that is too long.
    PassingOver,
    Failed(io::Error),
    Ended,
}

impl<R: Read> Framer<R> {
    /// Frames what `reader` gives.
    pub fn new(reader: R, framing: Framing) -> Framer<R> {
        Framer { reader, framing, carry: Vec::new(), offset: 0, continues: false, state: State::Reading }
    }

    /// Gives the next lines, or `false` at the end. Lines that are whole before an error come first;
    /// an unfinished line before it is not given.
    pub fn next(&mut self, lines: &mut Lines) -> io::Result<bool> {
        let buffer = &mut lines.buffer;
        grow(buffer, self.framing.batch_bytes.max(1));
        if matches!(self.state, State::PassingOver) {
            self.pass_over(buffer)?;
        }
        match mem::replace(&mut self.state, State::Reading) {
            State::Failed(error) => return Err(error),
            State::Ended => return Ok(false),
            State::Reading | State::PassingOver => {}
        }
        // A buffer that one long line made large is not filled for that.
        let mut room = self.framing.batch_bytes.max(self.carry.len()).max(1);
        grow(buffer, room);
        buffer[..self.carry.len()].copy_from_slice(&self.carry);
        let mut filled = self.carry.len();
        let mut whole = 0;
        lines.is_cut = false;
        lines.continues = mem::take(&mut self.continues);
        let mut objects = Objects::default();
        loop {
            // The carry of a line that was passed over may hold whole lines already.
            if let Some(last) = memrchr(b'\n', &buffer[whole..filled]) {
                whole += last + 1;
            }
            if whole > 0 && (!self.framing.fill || filled == room) {
                break;
            }
            if whole == 0
                && (!self.framing.fill || filled == room)
                && let Some(start) = objects.last_start(&buffer[..filled])
            {
                whole = start;
                self.continues = true;
                break;
            }
            if filled == room {
                // Longer even without the carriage return that may be its last byte.
                if filled > self.framing.max_line_bytes + 1 {
                    (whole, filled) = (filled, filled);
                    lines.is_cut = true;
                    self.state = State::PassingOver;
                    break;
                }
                room = (2 * filled).clamp(filled + 1, self.framing.max_line_bytes.max(filled - 1) + 2);
                grow(buffer, room);
            }
            match read(&mut self.reader, &mut buffer[filled..room]) {
                Ok(0) => {
                    whole = filled;
                    self.state = State::Ended;
                    break;
                }
                Ok(count) => filled += count,
                Err(error) => {
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
            return self.next(lines);
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

    fn pass_over(&mut self, buffer: &mut [u8]) -> io::Result<()> {
        loop {
            let count = read(&mut self.reader, buffer)?;
            if count == 0 {
                self.state = State::Ended;
                return Ok(());
            }
            if let Some(end) = memchr(b'\n', &buffer[..count]) {
                self.offset += end as u64 + 1;
                self.carry.extend_from_slice(&buffer[end + 1..count]);
                self.state = State::Reading;
                return Ok(());
            }
            self.offset += count as u64;
        }
    }
}

/// Looks for the places within a line where one JSON object ends and the next one begins.
#[derive(Default)]
struct Objects {
    /// How far it has looked.
    position: usize,
    depth: u32,
    in_string: bool,
    escaped: bool,
    /// Whether something stands between the objects; then nothing behind it is looked at.
    is_broken: bool,
    has_ended: bool,
    last_start: Option<usize>,
}

impl Objects {
    /// Where the last object begins that another one stands before. `line` is the same as in the call
    /// before, or has grown.
    fn last_start(&mut self, line: &[u8]) -> Option<usize> {
        while self.position < line.len() && !self.is_broken {
            match line[self.position] {
                _ if self.escaped => self.escaped = false,
                b'\\' if self.in_string => self.escaped = true,
                b'"' if self.depth > 0 => self.in_string = !self.in_string,
                _ if self.in_string => {}
                b'{' => {
                    if self.depth == 0 && self.has_ended {
                        self.last_start = Some(self.position);
                    }
                    self.depth += 1;
                }
                b'}' if self.depth > 0 => {
                    self.depth -= 1;
                    self.has_ended |= self.depth == 0;
                }
                b' ' | b'\t' | b'\r' => {}
                _ => self.is_broken = self.depth == 0,
            }
            self.position += 1;
        }
        self.last_start
    }
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
