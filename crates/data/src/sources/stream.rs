//! Streams files, compressed or not, as validated text.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use flate2::bufread::MultiGzDecoder;
use ruzstd::decoding::errors::{FrameDecoderError, ReadFrameHeaderError};
use ruzstd::decoding::{BlockDecodingStrategy, FrameDecoder};
use sha2::{Digest, Sha256};

use crate::error::{DataError, FileError};
use crate::sources::encoding;

/// Bytes of text per chunk; the format is inferred from the first chunk.
const CHUNK: usize = 1 << 20;

/// Bytes of a file to read at once.
const RAW: usize = 1 << 18;

/// The largest supported window of a Zstandard frame, that of long mode; decompression needs this much memory.
const ZSTD_WINDOW: u64 = 128 << 20;

/// Counts and hashes the bytes of a file as they are read.
#[derive(Debug, Clone, Default)]
pub(crate) struct Tally(Arc<Mutex<(u64, Sha256)>>);

impl Tally {
    /// Number of bytes read so far.
    pub(crate) fn bytes(&self) -> u64 {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).0
    }

    /// The tally of a whole file as stored on disk.
    pub(crate) fn of_file(path: &Path) -> io::Result<Self> {
        let tally = Self::default();
        let file = File::open(path)?;
        let mut tallied = BufReader::with_capacity(
            RAW,
            Tallied {
                file,
                tally: tally.clone(),
            },
        );
        io::copy(&mut tallied, &mut io::sink())?;
        Ok(tally)
    }

    /// SHA-256 of the bytes read so far, in hexadecimal.
    pub(crate) fn sha256(&self) -> String {
        let state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        hexadecimal(&state.1.clone().finalize())
    }
}

pub(crate) fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

struct Tallied {
    file: File,
    tally: Tally,
}

impl Read for Tallied {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read(buffer)?;
        let mut state = self.tally.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.0 += read as u64;
        state.1.update(&buffer[..read]);
        Ok(read)
    }
}

/// Opens a text file and decompresses gzip and Zstandard, which are detected by their first bytes.
///
/// # Errors
/// The file cannot be read, or has the extension of a compressed file but is not compressed.
pub(crate) fn open(path: &Path) -> Result<(Text, Tally), DataError> {
    let name = path.display().to_string();
    if path.is_dir() {
        return Err(DataError::File(FileError::Directory { path: name }));
    }
    let unreadable = |source: io::Error| match source.kind() {
        io::ErrorKind::NotFound => DataError::File(FileError::NotFound { path: name.clone() }),
        _ => DataError::File(FileError::Read {
            path: name.clone(),
            source,
        }),
    };
    let file = File::open(path).map_err(unreadable)?;
    let tally = Tally::default();
    let tallied = Tallied {
        file,
        tally: tally.clone(),
    };
    let mut raw = BufReader::with_capacity(RAW, tallied);
    let extension = path
        .extension()
        .map(|extension| extension.to_string_lossy().to_ascii_lowercase());
    let start = raw.fill_buf().map_err(unreadable)?;
    let unpacked = |inner: Box<dyn Read + Send>, packing| -> Box<dyn Read + Send> {
        Box::new(Unpacked {
            inner,
            name: name.clone(),
            packing,
        })
    };
    let inner = if start.starts_with(&[0x1f, 0x8b]) {
        unpacked(Box::new(MultiGzDecoder::new(raw)), "gzip")
    } else if is_zstd(start) {
        unpacked(Box::new(Zstd::new(raw)), "Zstandard")
    } else if let Some(expected) = match extension.as_deref() {
        Some("gz") => Some("gzip"),
        Some("zst") => Some("Zstandard"),
        _ => None,
    } {
        return Err(DataError::File(FileError::NotPacked {
            path: name,
            expected,
        }));
    } else {
        Box::new(raw)
    };
    Ok((Text::new(inner, name), tally))
}

/// The magic number of a frame, or of a skippable frame, which parallel compressors may write first.
fn is_zstd(start: &[u8]) -> bool {
    match start {
        [0x28, 0xb5, 0x2f, 0xfd, ..] => true,
        [first, 0x2a, 0x4d, 0x18, ..] => (0x50..0x60).contains(first),
        _ => false,
    }
}

/// Adds the file name to decompression errors.
struct Unpacked {
    inner: Box<dyn Read + Send>,
    name: String,
    packing: &'static str,
}

impl Read for Unpacked {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.inner.read(buffer).map_err(|source| {
            if source.kind() == io::ErrorKind::Interrupted {
                return source;
            }
            io::Error::other(DataError::File(FileError::Unpack {
                path: self.name.clone(),
                packing: self.packing,
                source,
            }))
        })
    }
}

/// Reads all frames of a Zstandard file in sequence, verifying the checksum of each.
struct Zstd<R> {
    source: R,
    decoder: FrameDecoder,
    within_frame: bool,
}

impl<R: BufRead> Zstd<R> {
    fn new(source: R) -> Self {
        let mut decoder = FrameDecoder::new();
        decoder.set_max_window_size(ZSTD_WINDOW);
        Self {
            source,
            decoder,
            within_frame: false,
        }
    }

    /// Advances to the next frame that contains text; false at the end of the file.
    fn begin_frame(&mut self) -> io::Result<bool> {
        while !self.source.fill_buf()?.is_empty() {
            match self.decoder.reset(&mut self.source) {
                Ok(()) => return Ok(true),
                Err(FrameDecoderError::ReadFrameHeaderError(ReadFrameHeaderError::SkipFrame {
                    length,
                    ..
                })) => {
                    let length = u64::from(length);
                    let mut frame = (&mut self.source).take(length);
                    if io::copy(&mut frame, &mut io::sink())? < length {
                        return Err(io::ErrorKind::UnexpectedEof.into());
                    }
                }
                Err(error) => return Err(io::Error::other(error)),
            }
        }
        Ok(false)
    }
}

impl<R: BufRead> Read for Zstd<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while !buffer.is_empty() {
            if !self.within_frame {
                if !self.begin_frame()? {
                    break;
                }
                self.within_frame = true;
            }
            while self.decoder.can_collect() == 0 && !self.decoder.is_finished() {
                self.decoder
                    .decode_blocks(&mut self.source, BlockDecodingStrategy::UptoBlocks(1))
                    .map_err(io::Error::other)?;
            }
            let read = self.decoder.read(buffer)?;
            if read > 0 {
                return Ok(read);
            }
            let stored = self.decoder.get_checksum_from_data();
            if stored.is_some() && stored != self.decoder.get_calculated_checksum() {
                return Err(io::Error::new(
                    io::ErrorKind::InvalidData,
                    "the text does not fit its checksum",
                ));
            }
            self.within_frame = false;
        }
        Ok(0)
    }
}

/// UTF-8 text without its byte order mark, read in chunks; every read returns whole characters.
///
/// Read errors are [`DataError`]s wrapped in an [`io::Error`]: [`data_error`] unwraps them.
pub(crate) struct Text {
    inner: Box<dyn Read + Send>,
    name: String,
    /// A chunk, which may end within a character.
    buffer: Vec<u8>,
    /// How much of the chunk has been returned.
    at: usize,
    /// End of the last complete character in the chunk.
    whole: usize,
    /// Byte offset of the chunk in the decompressed file, and its line number from 1.
    offset: usize,
    line: u64,
    at_start: bool,
}

impl Text {
    fn new(inner: Box<dyn Read + Send>, name: String) -> Self {
        Self {
            inner,
            name,
            buffer: Vec::new(),
            at: 0,
            whole: 0,
            offset: 0,
            line: 1,
            at_start: true,
        }
    }

    fn next_chunk(&mut self) -> io::Result<()> {
        let given = &self.buffer[..self.whole];
        self.offset += given.len();
        self.line += given.iter().filter(|&&byte| byte == b'\n').count() as u64;
        self.buffer.drain(..self.whole);
        (self.at, self.whole) = (0, 0);
        let wanted = (CHUNK - self.buffer.len()) as u64;
        (&mut self.inner)
            .take(wanted)
            .read_to_end(&mut self.buffer)?;
        let at_end = self.buffer.len() < CHUNK;
        if self.at_start {
            self.at_start = false;
            encoding::check_container(&self.buffer, &self.name).map_err(io::Error::other)?;
            if let Some(encoding) = encoding::wide_encoding(&self.buffer) {
                return Err(io::Error::other(DataError::File(FileError::WideEncoding {
                    path: self.name.clone(),
                    encoding,
                })));
            }
            if self.buffer.starts_with("\u{feff}".as_bytes()) {
                self.at = '\u{feff}'.len_utf8();
            }
        }
        if let Some(byte) = self.buffer.iter().position(|&byte| byte == 0) {
            return Err(io::Error::other(DataError::File(FileError::NulByte {
                path: self.name.clone(),
                line: self.line + encoding::line_breaks(&self.buffer[..byte]),
                byte: self.offset + byte,
            })));
        }
        self.whole = match std::str::from_utf8(&self.buffer) {
            Ok(text) => text.len(),
            Err(error) if error.error_len().is_none() && !at_end => error.valid_up_to(),
            Err(error) => {
                let byte = error.valid_up_to();
                return Err(io::Error::other(DataError::File(FileError::NotUtf8 {
                    path: self.name.clone(),
                    line: self.line + encoding::line_breaks(&self.buffer[..byte]),
                    byte: self.offset + byte,
                    found: self.buffer[byte],
                    looks_like: encoding::single_byte_encoding(&self.buffer),
                })));
            }
        };
        Ok(())
    }
}

impl BufRead for Text {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.at == self.whole {
            self.next_chunk()?;
        }
        Ok(&self.buffer[self.at..self.whole])
    }

    fn consume(&mut self, bytes: usize) {
        self.at += bytes;
    }
}

impl Read for Text {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.fill_buf()?.read(buffer)?;
        self.consume(read);
        Ok(read)
    }
}

/// Converts an error from reading a [`Text`]; `name` is the name of the file.
pub(crate) fn data_error(error: io::Error, name: &str) -> DataError {
    error.downcast::<DataError>().unwrap_or_else(|source| {
        DataError::File(FileError::Read {
            path: name.into(),
            source,
        })
    })
}
