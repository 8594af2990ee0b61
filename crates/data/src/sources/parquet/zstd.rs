//! Pages compressed with Zstandard, decompressed in Rust.
//!
//! The `parquet` crate uses the C library for Zstandard. Here, its page reader treats the pages as uncompressed, and their
//! contents are decompressed afterwards.

use std::io::Read;
use std::sync::Arc;

use bytes::Bytes;
use parquet::basic::Compression;
use parquet::column::page::{Page, PageMetadata, PageReader};
use parquet::errors::{ParquetError, Result};
use parquet::file::metadata::ColumnChunkMetaData;
use parquet::file::serialized_reader::SerializedPageReader;
use ruzstd::decoding::StreamingDecoder;

/// The pages of a Zstandard-compressed column chunk.
pub(super) struct ZstdPages {
    raw: SerializedPageReader<Bytes>,
}

impl ZstdPages {
    pub(super) fn new(bytes: Arc<Bytes>, chunk: &ColumnChunkMetaData, rows: usize) -> Result<Self> {
        let chunk = chunk.clone().into_builder();
        let chunk = chunk.set_compression(Compression::UNCOMPRESSED).build()?;
        let raw = SerializedPageReader::new(bytes, &chunk, rows, None)?;
        Ok(Self { raw })
    }
}

/// Decompresses everything in a buffer after the first `plain` bytes.
fn decompress(buffer: &Bytes, plain: usize) -> Result<Bytes> {
    let split = buffer.split_at_checked(plain);
    let (plain, compressed) =
        split.ok_or_else(|| ParquetError::EOF("a page is too short".into()))?;
    let mut out = plain.to_vec();
    if !compressed.is_empty() {
        let failed = |error: String| ParquetError::General(format!("Zstandard: {error}"));
        let mut decoder = StreamingDecoder::new(compressed).map_err(|e| failed(e.to_string()))?;
        decoder
            .read_to_end(&mut out)
            .map_err(|error| failed(error.to_string()))?;
    }
    Ok(out.into())
}

impl PageReader for ZstdPages {
    fn get_next_page(&mut self) -> Result<Option<Page>> {
        let Some(mut page) = self.raw.get_next_page()? else {
            return Ok(None);
        };
        match &mut page {
            Page::DataPage { buf, .. } | Page::DictionaryPage { buf, .. } => {
                *buf = decompress(buf, 0)?;
            }
            Page::DataPageV2 {
                buf,
                def_levels_byte_len,
                rep_levels_byte_len,
                is_compressed,
                ..
            } => {
                // Levels are never compressed.
                if *is_compressed {
                    let levels = *def_levels_byte_len as usize + *rep_levels_byte_len as usize;
                    *buf = decompress(buf, levels)?;
                }
            }
        }
        Ok(Some(page))
    }

    fn peek_next_page(&mut self) -> Result<Option<PageMetadata>> {
        self.raw.peek_next_page()
    }

    fn skip_next_page(&mut self) -> Result<()> {
        self.raw.skip_next_page()
    }
}

impl Iterator for ZstdPages {
    type Item = Result<Page>;

    fn next(&mut self) -> Option<Self::Item> {
        self.get_next_page().transpose()
    }
}
