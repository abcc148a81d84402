//! A file of remote-write requests in order of visibility.
//!
//! A record is: from when on queries see the samples, as microseconds since the Unix epoch (i64, little endian); the length
//! of what follows in bytes (u32, little endian); a `prometheus.WriteRequest` in protobuf (prompb/remote.proto and
//! prompb/types.proto), compressed by snappy's block format: the body of a `POST /api/v1/write`.

use super::layouts::Layouts;
use super::tally::Cell;
use super::whole_file::WholeFile;
use crate::prometheus::StoredRow;
use crate::series::Labels;
use prost::Message;
use prost::encoding::encode_varint;
use std::io::{self, Read, Write};
use std::sync::Arc;

/// `prometheus.WriteRequest`.
#[derive(Clone, PartialEq, Message)]
pub struct WriteRequest {
    /// Series with their samples.
    #[prost(message, repeated, tag = "1")]
    pub timeseries: Vec<TimeSeries>,
}

/// `prometheus.TimeSeries`.
#[derive(Clone, PartialEq, Message)]
pub struct TimeSeries {
    /// Labels by name, `__name__` among them.
    #[prost(message, repeated, tag = "1")]
    pub labels: Vec<Label>,
    /// Samples in time order.
    #[prost(message, repeated, tag = "2")]
    pub samples: Vec<Sample>,
}

/// `prometheus.Label`.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct Label {
    /// Name.
    #[prost(string, tag = "1")]
    pub name: String,
    /// Value.
    #[prost(string, tag = "2")]
    pub value: String,
}

/// `prometheus.Sample`.
#[derive(Clone, PartialEq, Message)]
pub struct Sample {
    /// Value; a staleness marker is the NaN 0x7ff0000000000002.
    #[prost(double, tag = "1")]
    pub value: f64,
    /// Milliseconds since the Unix epoch.
    #[prost(int64, tag = "2")]
    pub timestamp: i64,
}

/// One record of the file.
#[derive(Clone, Debug, PartialEq)]
pub struct RemoteWriteRecord {
    /// From when on queries see its samples, microseconds since the Unix epoch.
    pub visible_us: i64,
    /// The body of the request, as it is sent.
    pub body: Vec<u8>,
}

impl RemoteWriteRecord {
    /// What the body says.
    ///
    /// # Errors
    /// It is no compressed request.
    pub fn request(&self) -> io::Result<WriteRequest> {
        let wrong = |error: &dyn std::fmt::Display| io::Error::new(io::ErrorKind::InvalidData, error.to_string());
        let plain = snap::raw::Decoder::new().decompress_vec(&self.body).map_err(|error| wrong(&error))?;
        WriteRequest::decode(plain.as_slice()).map_err(|error| wrong(&error))
    }
}

/// Reads the next record; `None` at the end.
///
/// # Errors
/// The file ends within a record, or cannot be read.
pub fn read_record(file: &mut impl Read) -> io::Result<Option<RemoteWriteRecord>> {
    let mut first = [0];
    if file.read(&mut first)? == 0 {
        return Ok(None);
    }
    let mut head = [0; 12];
    head[0] = first[0];
    file.read_exact(&mut head[1..])?;
    let (visible, length) = head.split_at(8);
    let visible_us = i64::from_le_bytes(visible.try_into().expect("eight bytes"));
    let length = u32::from_le_bytes(length.try_into().expect("four bytes"));
    let mut body = Vec::new();
    if file.take(u64::from(length)).read_to_end(&mut body)? < length as usize {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(Some(RemoteWriteRecord { visible_us, body }))
}

/// Writes the records.
#[derive(Debug)]
pub(super) struct RemoteWriteFile {
    file: WholeFile,
    /// Each series' labels as they stand in a request.
    encoded: Layouts<Vec<u8>>,
    encoder: snap::raw::Encoder,
    /// Requests written.
    pub requests: u64,
}

impl RemoteWriteFile {
    pub fn new(file: WholeFile) -> Self {
        RemoteWriteFile { file, encoded: Layouts::default(), encoder: snap::raw::Encoder::new(), requests: 0 }
    }

    /// One row is one request.
    pub fn add(&mut self, row: &StoredRow, cells: &[Cell], visible_us: i64) -> io::Result<()> {
        let mut plain = Vec::with_capacity(cells.len() * 256);
        let labels = self.labels_of(&row.series);
        let mut samples = Vec::new();
        for cell in cells {
            let sample = Sample { value: cell.value, timestamp: row.at_ms };
            samples.clear();
            let part = TimeSeries { labels: Vec::new(), samples: vec![sample] };
            part.encode(&mut samples).expect("a vector grows");
            // Two encoded parts of one message are the message.
            let labels = &labels[cell.column];
            plain.push(TIMESERIES_KEY);
            encode_varint((labels.len() + samples.len()) as u64, &mut plain);
            plain.extend_from_slice(labels);
            plain.extend_from_slice(&samples);
        }
        let body = self.encoder.compress_vec(&plain).map_err(io::Error::other)?;
        let length = u32::try_from(body.len()).map_err(io::Error::other)?;
        self.file.write_all(&visible_us.to_le_bytes())?;
        self.file.write_all(&length.to_le_bytes())?;
        self.file.write_all(&body)?;
        self.requests += 1;
        Ok(())
    }

    fn labels_of(&mut self, series: &Arc<[Labels]>) -> Arc<[Vec<u8>]> {
        if let Some(encoded) = self.encoded.get(series) {
            return encoded;
        }
        let encode = |labels: &Labels| {
            let label = |(name, value): (&str, &str)| Label { name: name.to_owned(), value: value.to_owned() };
            TimeSeries { labels: labels.iter().map(label).collect(), samples: Vec::new() }.encode_to_vec()
        };
        self.encoded.keep(series, series.iter().map(encode).collect())
    }

    /// Puts the file in its place; how many bytes it has.
    pub fn finish(self) -> io::Result<u64> {
        self.file.finish()
    }
}

/// Field 1 of a `WriteRequest`, length-delimited.
const TIMESERIES_KEY: u8 = 1 << 3 | 2;
