//! Parquet files as lines: every row becomes a JSON object on a line of its own, which names the
//! columns that have a value. So it needs no header line, and no format applies to it.
//!
//! Batches of rows are read column by column; what is in memory is a batch and a page a column.

use std::io::{self, Read};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parquet::basic::{LogicalType, TimeUnit};
use parquet::column::reader::{ColumnReader, ColumnReaderImpl};
use parquet::data_type::DataType;
use parquet::errors::ParquetError;
use parquet::file::reader::{ChunkReader, FileReader, SerializedFileReader};
use parquet::schema::types::ColumnDescriptor;

/// Rows that are read at once.
const BATCH_ROWS: usize = 1024;

/// Reads the rows of a file as lines.
pub struct ParquetLines<R: ChunkReader + 'static> {
    reader: SerializedFileReader<R>,
    columns: Vec<Column>,
    next_group: usize,
    /// Of the current row group.
    readers: Vec<ColumnReader>,
    rows_left: usize,
    cells: Vec<Cells>,
    lines: Vec<u8>,
    position: usize,
    progress: Progress,
}

struct Column {
    /// `"name":`
    key: Vec<u8>,
    /// A value is there where its definition level is this.
    max_def_level: i16,
    /// What divides a timestamp to milliseconds; 1 for other numbers.
    divisor: i64,
    is_unsigned: bool,
}

/// One column of a batch: the JSON of its values, one behind the other; nothing for a null.
#[derive(Default)]
struct Cells {
    text: Vec<u8>,
    ends: Vec<usize>,
}

/// Counts the file's bytes as read in the measure of its rows.
struct Progress {
    bytes_read: Arc<AtomicU64>,
    bytes: u64,
    rows: u64,
    rows_done: u64,
}

impl<R: ChunkReader + 'static> ParquetLines<R> {
    /// Opens a file. `bytes_read` is increased by its size while it is read.
    pub fn open(file: R, bytes_read: Arc<AtomicU64>) -> io::Result<ParquetLines<R>> {
        let bytes = file.len();
        let reader = without_panic(|| SerializedFileReader::new(file))?;
        let metadata = reader.metadata().file_metadata();
        let columns: Result<Vec<Column>, _> =
            metadata.schema_descr().columns().iter().map(|column| Column::new(column)).collect();
        let columns = columns.map_err(|error| io::Error::new(io::ErrorKind::Unsupported, error))?;
        let rows = metadata.num_rows().max(0) as u64;
        let cells = columns.iter().map(|_| Cells::default()).collect();
        let progress = Progress { bytes_read, bytes, rows, rows_done: 0 };
        Ok(ParquetLines {
            reader,
            columns,
            next_group: 0,
            readers: Vec::new(),
            rows_left: 0,
            cells,
            lines: Vec::new(),
            position: 0,
            progress,
        })
    }

    /// Makes the lines of the next rows; `false` at the end.
    fn next_batch(&mut self) -> Result<bool, ParquetError> {
        while self.rows_left == 0 {
            if self.next_group == self.reader.num_row_groups() {
                return Ok(false);
            }
            let group = self.reader.get_row_group(self.next_group)?;
            self.rows_left = group.metadata().num_rows().max(0) as usize;
            self.readers =
                (0..self.columns.len()).map(|column| group.get_column_reader(column)).collect::<Result<_, _>>()?;
            self.next_group += 1;
        }
        let rows = self.rows_left.min(BATCH_ROWS);
        for ((reader, column), cells) in self.readers.iter_mut().zip(&self.columns).zip(&mut self.cells) {
            column.read(reader, rows, cells)?;
        }
        self.rows_left -= rows;
        self.lines.clear();
        self.position = 0;
        for row in 0..rows {
            self.lines.push(b'{');
            for (column, cells) in self.columns.iter().zip(&self.cells) {
                let value = cells.get(row);
                if !value.is_empty() {
                    self.lines.extend_from_slice(&column.key);
                    self.lines.extend_from_slice(value);
                    self.lines.push(b',');
                }
            }
            match self.lines.last_mut() {
                Some(last) if *last == b',' => *last = b'}',
                _ => self.lines.push(b'}'),
            }
            self.lines.push(b'\n');
        }
        self.progress.add(rows as u64);
        Ok(true)
    }
}

impl<R: ChunkReader + 'static> Read for ParquetLines<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.position == self.lines.len() && !without_panic(|| self.next_batch())? {
            return Ok(0);
        }
        let count = (&self.lines[self.position..]).read(buffer)?;
        self.position += count;
        Ok(count)
    }
}

/// The library panics over some kinds of damage, which costs this file and no other. Where a panic aborts,
/// as on wasm, nothing can be caught: there it costs the instance.
fn without_panic<T>(action: impl FnOnce() -> Result<T, ParquetError>) -> io::Result<T> {
    let outcome = catch_unwind(AssertUnwindSafe(action));
    outcome.unwrap_or_else(|_| Err(ParquetError::General("its structure is damaged".into()))).map_err(unreadable)
}

fn unreadable(error: ParquetError) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("is no Parquet file that can be read: {error}"))
}

impl Progress {
    fn add(&mut self, rows: u64) {
        let bytes = |rows: u64| (u128::from(self.bytes) * u128::from(rows) / u128::from(self.rows.max(1))) as u64;
        let more = bytes(self.rows_done + rows) - bytes(self.rows_done);
        self.rows_done += rows;
        self.bytes_read.fetch_add(more, Ordering::Relaxed);
    }
}

impl Cells {
    fn get(&self, row: usize) -> &[u8] {
        let start = row.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.text[start..self.ends[row]]
    }
}

impl Column {
    fn new(column: &ColumnDescriptor) -> Result<Column, String> {
        let name = column.path().string();
        if column.max_rep_level() > 0 {
            return Err(format!("has a list in its column {name}, which no flow log has"));
        }
        let mut divisor = 1;
        let mut is_unsigned = false;
        match column.logical_type_ref() {
            Some(LogicalType::Timestamp(timestamp)) => {
                divisor = match timestamp.unit {
                    TimeUnit::MILLIS => 1,
                    TimeUnit::MICROS => 1000,
                    TimeUnit::NANOS => 1_000_000,
                };
            }
            Some(LogicalType::Integer(integer)) => is_unsigned = !integer.is_signed,
            Some(LogicalType::Decimal(decimal)) if decimal.scale != 0 => {
                return Err(format!("has a decimal fraction in its column {name}, which no flow log has"));
            }
            _ => {}
        }
        let mut key = serde_json::to_vec(&name).map_err(|error| error.to_string())?;
        key.push(b':');
        Ok(Column { key, max_def_level: column.max_def_level(), divisor, is_unsigned })
    }

    fn read(&self, reader: &mut ColumnReader, rows: usize, cells: &mut Cells) -> Result<(), ParquetError> {
        cells.text.clear();
        cells.ends.clear();
        match reader {
            ColumnReader::BoolColumnReader(reader) => {
                self.values(reader, rows, cells, |value, text| text.extend_from_slice(value.to_string().as_bytes()))
            }
            ColumnReader::Int32ColumnReader(reader) => self.values(reader, rows, cells, |&value, text| {
                let value = if self.is_unsigned { i64::from(value as u32) } else { i64::from(value) };
                self.integer(value, text);
            }),
            ColumnReader::Int64ColumnReader(reader) => {
                self.values(reader, rows, cells, |&value, text| match self.is_unsigned {
                    true => text.extend_from_slice((value as u64).to_string().as_bytes()),
                    false => self.integer(value, text),
                })
            }
            ColumnReader::Int96ColumnReader(reader) => {
                self.values(reader, rows, cells, |value, text| self.integer(value.to_millis(), text))
            }
            ColumnReader::FloatColumnReader(reader) => {
                self.values(reader, rows, cells, |&value, text| float(value.into(), text))
            }
            ColumnReader::DoubleColumnReader(reader) => {
                self.values(reader, rows, cells, |&value, text| float(value, text))
            }
            ColumnReader::ByteArrayColumnReader(reader) => {
                self.values(reader, rows, cells, |value, text| string(value.data(), text))
            }
            ColumnReader::FixedLenByteArrayColumnReader(reader) => {
                self.values(reader, rows, cells, |value, text| string(value.data(), text))
            }
        }
    }

    fn values<T: DataType>(
        &self,
        reader: &mut ColumnReaderImpl<T>,
        rows: usize,
        cells: &mut Cells,
        write: impl Fn(&T::T, &mut Vec<u8>),
    ) -> Result<(), ParquetError> {
        let (mut levels, mut values) = (Vec::new(), Vec::new());
        let (records, ..) = reader.read_records(rows, Some(&mut levels), None, &mut values)?;
        if records < rows {
            let name = String::from_utf8_lossy(&self.key);
            return Err(ParquetError::EOF(format!("the column {name} ends before the last row")));
        }
        let mut values = values.iter();
        for row in 0..rows {
            let is_present = self.max_def_level == 0 || levels.get(row) == Some(&self.max_def_level);
            if is_present && let Some(value) = values.next() {
                write(value, &mut cells.text);
            }
            cells.ends.push(cells.text.len());
        }
        Ok(())
    }

    fn integer(&self, value: i64, text: &mut Vec<u8>) {
        text.extend_from_slice((value / self.divisor).to_string().as_bytes());
    }
}

/// Some tools make floats of integer columns that have a null, and write the null as NaN.
fn float(value: f64, text: &mut Vec<u8>) {
    if value.is_finite() {
        // Rust writes 443.0 as `443`; the sum makes a plain zero of a negative one.
        text.extend_from_slice((value + 0.0).to_string().as_bytes());
    }
}

/// A JSON string. Bytes that are not UTF-8 stay as they are, so that the module refuses that row.
fn string(value: &[u8], text: &mut Vec<u8>) {
    text.push(b'"');
    for chunk in value.utf8_chunks() {
        let valid = serde_json::Value::from(chunk.valid()).to_string();
        text.extend_from_slice(&valid.as_bytes()[1..valid.len() - 1]);
        text.extend_from_slice(chunk.invalid());
    }
    text.push(b'"');
}
