use std::fs::File;
use std::io;
use std::ops::Range;
use std::sync::Arc;

use memmap2::Mmap;

/// A file mapped into memory for reading; clones share it.
#[derive(Clone, Debug)]
pub(crate) struct Mapping(Arc<Mapped>);

#[derive(Debug)]
struct Mapped {
    pages: Mmap,
    /// The same file, of which the system still knows the length.
    file: File,
}

impl Mapping {
    /// Maps a file.
    pub(crate) fn open(file: &File) -> io::Result<Self> {
        #[expect(unsafe_code, reason = "a mapping changes with its file; that is the price of not copying it")]
        // SAFETY: the contract of every reader of mapped weights, torch's and safetensors' own: a checkpoint
        // is not written to while it is in use. Only plain numbers are read from it, any bits of which are valid.
        let pages = unsafe { Mmap::map(file) }?;
        Ok(Self(Arc::new(Mapped { pages, file: file.try_clone()? })))
    }

    /// Whether the file is still as long as it was: to read what is no longer there would end the process (SIGBUS). Another may still cut
    /// it between this and the reading; that needs much luck, and nothing but a copy would help.
    ///
    /// # Errors
    ///
    /// When it is shorter, and what the system says.
    pub(crate) fn check(&self) -> io::Result<()> {
        let (found, expected) = (self.0.file.metadata()?.len(), self.0.pages.len() as u64);
        if found >= expected {
            return Ok(());
        }
        let reason = format!(
            "it had {expected} bytes when it was opened and has {found} now; it must not be changed while it is in use"
        );
        Err(io::Error::new(io::ErrorKind::UnexpectedEof, reason))
    }

    /// A part of the file, which must lie inside it.
    pub(crate) fn part(&self, range: Range<usize>) -> Part {
        Part { mapping: self.clone(), range }
    }
}

impl AsRef<[u8]> for Mapping {
    fn as_ref(&self) -> &[u8] {
        &self.0.pages
    }
}

/// A part of a mapped file that is in use. When it is dropped its pages go back to the system; they are read
/// again if they are needed again.
#[derive(Debug)]
pub(crate) struct Part {
    mapping: Mapping,
    range: Range<usize>,
}

impl AsRef<[u8]> for Part {
    fn as_ref(&self) -> &[u8] {
        &self.mapping.as_ref()[self.range.clone()]
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        #[cfg(unix)]
        {
            let Range { start, end } = self.range;
            #[expect(unsafe_code, reason = "memmap2 cannot know that the mapping is one of an unmodified file")]
            // SAFETY: the mapping is shared and read-only, so dropping its pages loses nothing. As advice it may
            // fail, and then only memory is not saved.
            let _ = unsafe {
                self.mapping.0.pages.unchecked_advise_range(memmap2::UncheckedAdvice::DontNeed, start, end - start)
            };
        }
    }
}
