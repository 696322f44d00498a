//! Files to events, batch after batch.

use std::cell::RefCell;
use std::io::Read;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use serde::Serialize;
use vpcflow_framing::{Framer, Framing, Lines, ParquetLines, decompress};
use vpcflow_parser::{Batch, Context, Databases, Flow, Transformer, Watch};
use wasm_bindgen::JsError;
use wasm_bindgen::prelude::wasm_bindgen;
use web_sys::Blob;

use crate::filter::Filter;
use crate::input::{Ahead, OpenFile, Stream};
use crate::json;
use crate::rejects::Rejects;
use crate::sample::Sample;
use crate::settings::Settings;
use crate::traffic::{self, Traffic};

/// A batch and its events stay in the processor's caches.
const BATCH_BYTES: usize = 256 << 10;

/// Reads files, one after the other, and sums up what is in them.
#[wasm_bindgen]
pub struct Reading {
    transformer: Transformer,
    settings: Settings,
    framing: Framing,
    file: Option<File>,
    files: usize,
    lines: Lines,
    batch: Batch,
    watcher: Watcher,
    rejects: Rejects,
    totals: Totals,
}

struct File {
    name: String,
    framer: Framer<Box<dyn Read>>,
    bytes_read: Arc<AtomicU64>,
    /// Absent for Parquet, which is not read in order.
    ahead: Option<Rc<RefCell<Ahead>>>,
    _open: OpenFile,
}

/// Over all files.
#[derive(Clone, Copy, Default, Serialize)]
struct Totals {
    lines: u64,
    events: u64,
    rejects: u64,
    skips: u64,
    /// Of lines, after decompression.
    bytes: u64,
}

/// By the line of a batch, in order.
pub(crate) type Headers = Vec<(u32, Option<Rc<str>>)>;

/// Sees every record, and decides which events are written.
struct Watcher {
    filter: Filter,
    /// Whether all events that the filter takes are written, and nothing is summed up; else only those of the sample.
    writes_all: bool,
    traffic: Traffic,
    sample: Sample,
    /// Header lines of the batch, with the lines from which they are in force; the first is in force before it.
    headers: Headers,
    file: usize,
    lines_before: u64,
}

impl Watch for Watcher {
    fn header(&mut self, line: u32, header: Option<&str>) {
        self.headers.push((line, header.map(Into::into)));
    }

    #[inline]
    fn wants(&mut self, flow: &Flow<'_>) -> bool {
        if !self.filter.takes(flow) {
            return false;
        }
        if self.writes_all {
            return true;
        }
        self.traffic.add(flow);
        self.sample.wants()
    }

    fn event(&mut self, flow: &Flow<'_>, event: &[u8]) {
        if !self.writes_all {
            let line = self.lines_before + u64::from(flow.line) + 1;
            let header = self.headers.last().and_then(|(_, header)| header.clone());
            self.sample.add(flow.message(), event, self.file, line, header);
        }
    }
}

/// As the page gets it.
#[derive(Serialize)]
struct Report<'a> {
    totals: Totals,
    /// Of the events that the filter takes.
    traffic: traffic::Report,
    rejects: &'a Rejects,
    sample: Option<&'a Sample>,
}

#[wasm_bindgen]
impl Reading {
    /// Takes `Settings` as JSON, and databases in MaxMind DB format.
    #[wasm_bindgen(constructor)]
    pub fn new(settings: &str, city: Option<Vec<u8>>, asn: Option<Vec<u8>>) -> Result<Reading, JsError> {
        let mut settings = Settings::read(settings).map_err(|error| JsError::new(&error))?;
        let options = settings.options(Databases { city, asn }).map_err(|error| JsError::new(&error))?;
        let framing = Framing { batch_bytes: BATCH_BYTES, max_line_bytes: options.max_line_bytes, fill: true };
        let transformer = Transformer::open(options).map_err(|error| JsError::new(&error.to_string()))?;
        let watcher = Watcher {
            filter: std::mem::take(&mut settings.filter),
            writes_all: settings.writes_all,
            traffic: Traffic::default(),
            sample: Sample::new(),
            headers: Headers::new(),
            file: 0,
            lines_before: 0,
        };
        Ok(Reading {
            transformer,
            settings,
            framing,
            file: None,
            files: 0,
            lines: Lines::default(),
            batch: Batch::default(),
            watcher,
            rejects: Rejects::default(),
            totals: Totals::default(),
        })
    }

    /// Begins a file. Its name enters the event ids.
    pub fn open(&mut self, file: Blob, name: &str) -> Result<(), JsError> {
        let number = self.files;
        self.files += 1;
        let bytes_read = Arc::<AtomicU64>::default();
        let open = OpenFile::new(file);
        let ahead = (!open.is_parquet()?).then(Rc::<RefCell<Ahead>>::default);
        let reader: Box<dyn Read> = match &ahead {
            Some(ahead) => Box::new(decompress(Stream::new(open.reader(bytes_read.clone()), ahead.clone()))?),
            None => Box::new(ParquetLines::open(open.reader(Arc::default()), bytes_read.clone())?),
        };
        let framer = Framer::new(reader, self.framing);
        self.file = Some(File { name: name.into(), framer, bytes_read, ahead, _open: open });
        self.transformer.set_header(None);
        self.watcher.headers.clear();
        (self.watcher.file, self.watcher.lines_before) = (number, 0);
        Ok(())
    }

    /// Where the file will be read on, in bytes, if that can be read ahead and has not been.
    pub fn wanted(&self) -> Option<f64> {
        let ahead = self.file.as_ref()?.ahead.as_ref()?;
        ahead.borrow().wanted().map(|start| start as f64)
    }

    /// Takes what another worker has read from `start` on. What nobody reads ahead is read when it is needed.
    pub fn offer(&self, start: f64, bytes: Vec<u8>) {
        if let Some(ahead) = self.file.as_ref().and_then(|file| file.ahead.as_ref()) {
            ahead.borrow_mut().offer(start as u64, bytes);
        }
    }

    /// Reads and transforms the next batch of the file; `false` at its end.
    pub fn step(&mut self) -> Result<bool, JsError> {
        self.batch.clear();
        let Some(file) = &mut self.file else { return Ok(false) };
        match file.framer.next(&mut self.lines) {
            Ok(true) => {}
            Ok(false) => {
                self.file = None;
                return Ok(false);
            }
            Err(error) => {
                let (offset, rest) = file.framer.rest();
                self.file = None;
                let place = format!("{error}, after byte {offset} of its lines and {rest} of an unfinished line");
                return Err(JsError::new(&place));
            }
        }
        let Lines { offset, is_cut, continues, .. } = self.lines;
        let bytes = self.lines.bytes();
        // The line in whose middle this begins has been counted.
        self.watcher.lines_before -= u64::from(continues);
        let header = self.watcher.headers.pop().and_then(|(_, header)| header);
        self.watcher.headers.clear();
        self.watcher.headers.push((0, header));
        let context = Context { origin: &file.name, offset, collected_at: self.settings.collected_at() };
        self.transformer.transform_watched(bytes, &context, &mut self.batch, &mut self.watcher);
        let place = (self.watcher.lines_before, offset);
        let Watcher { file, headers, .. } = &self.watcher;
        self.rejects.add(&self.batch.rejects, *file, place, bytes, is_cut, headers);
        let counts = self.batch.counts;
        self.watcher.lines_before += counts.lines;
        let totals = &mut self.totals;
        totals.lines += counts.lines - u64::from(continues);
        totals.events += counts.events;
        totals.rejects += counts.rejects;
        totals.skips += counts.skips;
        totals.bytes += bytes.len() as u64;
        Ok(true)
    }

    /// The events that the last step has written: one JSON object a line.
    pub fn events(&self) -> Vec<u8> {
        self.batch.events.clone()
    }

    /// How many bytes of the file have been read, before decompression.
    #[wasm_bindgen(js_name = bytesRead)]
    pub fn bytes_read(&self) -> f64 {
        self.file.as_ref().map_or(0, |file| file.bytes_read.load(Ordering::Relaxed)) as f64
    }

    /// What has been found so far: a `Report` as JSON, with the sample or without.
    pub fn report(&self, with_sample: bool) -> String {
        json(&Report {
            totals: self.totals,
            traffic: self.watcher.traffic.report(),
            rejects: &self.rejects,
            sample: with_sample.then_some(&self.watcher.sample),
        })
    }
}
