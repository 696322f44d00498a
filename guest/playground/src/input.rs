//! A file of the browser as a reader. Only a Web Worker may read one without waiting for a callback.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io::{self, Read};
use std::mem::take;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::{Buf, Bytes};
use js_sys::{Array, Uint8Array};
use parquet::errors::ParquetError;
use parquet::file::reader::{ChunkReader, Length};
use vpcflow_framing::PARQUET_MAGIC;
use wasm_bindgen::JsValue;
use web_sys::{Blob, FileReaderSync, MessageChannel, MessagePort};

/// What is asked of the browser at once: each time costs it about a millisecond.
const CHUNK_BYTES: u64 = 4 << 20;
/// What is asked of it first, where only the header of a Parquet page may be wanted.
const FIRST_CHUNK_BYTES: u64 = 16 << 10;

thread_local! {
    /// A port whose other end is closed.
    static NOBODY: MessagePort = {
        let channel = MessageChannel::new().expect("every worker can make one");
        channel.port2().close();
        channel.port1()
    };
    /// The open files. Readers of Parquet must be `Send`, which a browser's object is not; so they hold a number.
    static FILES: RefCell<BTreeMap<u64, Blob>> = const { RefCell::new(BTreeMap::new()) };
}

/// A file that is open until this is dropped.
pub(crate) struct OpenFile {
    number: u64,
    bytes: u64,
}

impl OpenFile {
    pub(crate) fn new(file: Blob) -> OpenFile {
        FILES.with_borrow_mut(|files| {
            let number = files.last_key_value().map_or(0, |(last, _)| last + 1);
            let bytes = file.size() as u64;
            files.insert(number, file);
            OpenFile { number, bytes }
        })
    }

    pub(crate) fn is_parquet(&self) -> io::Result<bool> {
        let magic = read_at(self.number, 0, self.bytes.min(PARQUET_MAGIC.len() as u64))?;
        Ok(magic == PARQUET_MAGIC)
    }

    /// From the beginning; `bytes_read` counts what is read.
    pub(crate) fn reader(&self, bytes_read: Arc<AtomicU64>) -> Input {
        Input {
            file: self.number,
            bytes: self.bytes,
            position: 0,
            chunk: Bytes::new(),
            chunk_bytes: FIRST_CHUNK_BYTES,
            bytes_read,
        }
    }
}

impl Drop for OpenFile {
    fn drop(&mut self) {
        FILES.with_borrow_mut(|files| files.remove(&self.number));
    }
}

/// Reads an open file.
#[derive(Clone, Debug)]
pub(crate) struct Input {
    file: u64,
    bytes: u64,
    position: u64,
    chunk: Bytes,
    /// The size of the next one.
    chunk_bytes: u64,
    bytes_read: Arc<AtomicU64>,
}

fn read_at(file: u64, start: u64, length: u64) -> io::Result<Bytes> {
    // A file that has changed meanwhile, or may not be read.
    let failed = |error: JsValue| {
        let message = js_sys::Reflect::get(&error, &"message".into()).ok().and_then(|message| message.as_string());
        io::Error::other(message.unwrap_or_else(|| "the browser cannot read the file".into()))
    };
    FILES.with_borrow(|files| {
        let file = files.get(&file).ok_or_else(|| io::Error::other("the file has been closed"))?;
        let slice = file.slice_with_f64_and_f64(start as f64, (start + length) as f64).map_err(failed)?;
        let buffer = FileReaderSync::new().and_then(|reader| reader.read_as_array_buffer(&slice)).map_err(failed)?;
        let bytes = Uint8Array::new(&buffer).to_vec();
        // Given away to nobody, it is freed at once. Else the browser keeps it until it collects garbage, which beside
        // a worker that is always busy it hardly ever does: a file of 1 GB took as much memory.
        let given = Array::<JsValue>::of1(&buffer);
        NOBODY.with(|port| port.post_message_with_transferable(&buffer, &given)).map_err(failed)?;
        match bytes.len() as u64 == length {
            true => Ok(bytes.into()),
            // A slice of a file ends where the file does.
            false => Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the file is shorter than it says")),
        }
    })
}

impl Read for Input {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.chunk.is_empty() && self.position < self.bytes {
            self.chunk = read_at(self.file, self.position, self.chunk_bytes.min(self.bytes - self.position))?;
            self.position += self.chunk.len() as u64;
            self.chunk_bytes = CHUNK_BYTES.min(4 * self.chunk_bytes);
        }
        let count = (&self.chunk[..]).read(buffer)?;
        self.chunk.advance(count);
        self.bytes_read.fetch_add(count as u64, Ordering::Relaxed);
        Ok(count)
    }
}

/// Reads an open file once, from its beginning to its end, and takes what has been read ahead.
pub(crate) struct Stream {
    input: Input,
    ahead: Rc<RefCell<Ahead>>,
}

/// What another worker has read of what a stream reads next.
#[derive(Default)]
pub(crate) struct Ahead {
    /// Where the stream will ask for more.
    start: u64,
    /// What there is from there on.
    bytes: Bytes,
}

impl Ahead {
    /// Where the stream will ask for more, if that has not been read ahead.
    pub(crate) fn wanted(&self) -> Option<u64> {
        self.bytes.is_empty().then_some(self.start)
    }

    /// Takes what has been read from `start` on, if it is what the stream will ask for.
    pub(crate) fn offer(&mut self, start: u64, bytes: Vec<u8>) {
        if self.wanted() == Some(start) {
            self.bytes = bytes.into();
        }
    }
}

impl Stream {
    pub(crate) fn new(input: Input, ahead: Rc<RefCell<Ahead>>) -> Stream {
        Stream { input, ahead }
    }
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let Stream { input, ahead } = self;
        if input.chunk.is_empty() {
            input.chunk = take(&mut ahead.borrow_mut().bytes);
            input.position += input.chunk.len() as u64;
        }
        let count = input.read(buffer)?;
        ahead.borrow_mut().start = input.position;
        Ok(count)
    }
}

impl Length for Input {
    fn len(&self) -> u64 {
        self.bytes
    }
}

impl ChunkReader for Input {
    type T = Input;

    fn get_read(&self, start: u64) -> Result<Input, ParquetError> {
        Ok(Input { position: start, chunk: Bytes::new(), chunk_bytes: FIRST_CHUNK_BYTES, ..self.clone() })
    }

    fn get_bytes(&self, start: u64, length: usize) -> Result<Bytes, ParquetError> {
        Ok(read_at(self.file, start, length as u64)?)
    }
}
