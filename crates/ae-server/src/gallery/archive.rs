//! Pictures of the gallery as one zip file, made while it is sent: in memory is one entry at a time.

use std::io::{self, Write};
use std::mem;
use std::sync::{Arc, Mutex, PoisonError};
use std::vec::IntoIter;

use zip::write::{SimpleFileOptions, StreamWriter};
use zip::{CompressionMethod, ZipWriter};

use super::Gallery;
use crate::PICTURE_NAMES;

/// A zip file that comes part by part.
pub(crate) struct Archive {
    gallery: Arc<Gallery>,
    ids: IntoIter<String>,
    /// None after the end.
    writer: Option<ZipWriter<StreamWriter<Written>>>,
    written: Written,
}

impl Archive {
    /// The pictures of entries, each under the name of its entry.
    pub(crate) fn new(gallery: Arc<Gallery>, ids: Vec<String>) -> Self {
        let written = Written::default();
        let writer = Some(ZipWriter::new_stream(written.clone()));
        Self { gallery, ids: ids.into_iter(), writer, written }
    }

    /// The next part: an entry, and at last the directory; none after it.
    pub(crate) fn next(&mut self) -> io::Result<Option<Vec<u8>>> {
        let Some(writer) = &mut self.writer else { return Ok(None) };
        if let Some(id) = self.ids.next() {
            // PNG is compressed already.
            let options = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
            for (name, end) in PICTURE_NAMES.into_iter().zip(["", "-plain"]) {
                let Some(picture) = self.gallery.picture(&id, name) else {
                    // Not every entry has a plain picture; one without any was removed meanwhile.
                    if end.is_empty() {
                        return Err(io::Error::other(format!("the gallery has no '{id}' any more")));
                    }
                    continue;
                };
                writer.start_file(format!("{id}{end}.png"), options)?;
                writer.write_all(&picture)?;
            }
        } else if let Some(writer) = self.writer.take() {
            writer.finish()?;
        }
        Ok(Some(self.written.take()))
    }
}

/// Bytes that were written and not yet sent.
#[derive(Clone, Debug, Default)]
struct Written(Arc<Mutex<Vec<u8>>>);

impl Written {
    fn take(&self) -> Vec<u8> {
        mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Write for Written {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
