//! An open data file, plain or gzipped; the first bytes decide, never the name.
//! Counts and bounds the bytes it returns, so that no header can ask for more memory than the file can fill.
//! Does not know the meaning of the bytes.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

use flate2::bufread::MultiGzDecoder;

use super::error::FileError;
use crate::limits::{DATA_FILE, DEFLATE_EXPANSION};

const GZIP: [u8; 2] = [0x1f, 0x8b];
/// The size of the buffers between file, decoder and reader.
const BUFFER: usize = 64 * 1024;

/// A readable file (or bytes in memory) with its name, offset and limit.
pub struct DatasetFile<'a> {
    name: String,
    body: Box<dyn Read + 'a>,
    gzipped: bool,
    offset: u64,
    bound: u64,
    limit: u64,
    broken: bool,
}

impl DatasetFile<'static> {
    /// Opens a file.
    pub fn file(path: &Path) -> Result<Self, FileError> {
        let name = path.display().to_string();
        let opened = File::open(path).and_then(|file| Ok((file.metadata()?.len(), file)));
        match opened {
            Ok((length, file)) => DatasetFile::new(name, length, BufReader::with_capacity(BUFFER, file)),
            Err(source) => Err(FileError::Read { file: name, offset: 0, source }),
        }
    }
}

impl<'a> DatasetFile<'a> {
    /// Opens bytes in memory; messages use the name.
    pub fn bytes(name: &str, bytes: &'a [u8]) -> Result<Self, FileError> {
        Self::new(name.to_owned(), bytes.len() as u64, bytes)
    }

    fn new(name: String, length: u64, mut bytes: impl BufRead + 'a) -> Result<Self, FileError> {
        let start = match bytes.fill_buf() {
            Ok(start) => start,
            Err(source) => return Err(FileError::Read { file: name, offset: 0, source }),
        };
        let gzipped = start.starts_with(&GZIP);
        let (body, bound): (Box<dyn Read + 'a>, _) = if gzipped {
            let decoder = BufReader::with_capacity(BUFFER, MultiGzDecoder::new(bytes));
            (Box::new(decoder), length.saturating_mul(DEFLATE_EXPANSION))
        } else {
            (Box::new(bytes), length)
        };
        Ok(Self { name, body, gzipped, offset: 0, bound, limit: DATA_FILE, broken: false })
    }

    /// Lowers the limit of bytes read from the file.
    #[must_use]
    pub fn within(mut self, limit: u64) -> Self {
        self.limit = self.limit.min(limit);
        self
    }

    /// Returns the name for messages.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the length of a file that is not compressed.
    #[must_use]
    pub fn plain_length(&self) -> Option<u64> {
        (!self.gzipped).then_some(self.bound)
    }

    /// Reads exactly `count` bytes, after a check that the file can hold them.
    pub fn take(&mut self, count: u64) -> Result<Vec<u8>, FileError> {
        let needed = self.offset.saturating_add(count);
        let file = || self.name.clone();
        if needed > self.limit {
            return Err(FileError::TooLarge { file: file(), needed, limit: self.limit });
        }
        if needed > self.bound {
            return Err(if self.gzipped {
                FileError::Implausible { file: file(), needed, bound: self.bound }
            } else {
                FileError::Short { file: file(), offset: self.bound, needed }
            });
        }
        let mut bytes = vec![0; count as usize];
        self.fill(&mut bytes)?;
        Ok(bytes)
    }

    /// Fills `out`; an error with the offset of the end if the file is too short.
    pub fn fill(&mut self, out: &mut [u8]) -> Result<(), FileError> {
        let needed = self.offset + out.len() as u64;
        let mut done = 0;
        while done < out.len() {
            match self.read(&mut out[done..]) {
                Ok(0) => {
                    return Err(FileError::Short { file: self.name.clone(), offset: self.offset, needed });
                }
                Ok(count) => done += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(self.fault(error)),
            }
        }
        Ok(())
    }

    /// Checks that the file ends here; for a gzip file this also checks its checksum.
    pub fn end(&mut self) -> Result<(), FileError> {
        let offset = self.offset;
        match self.read(&mut [0]) {
            Ok(0) => Ok(()),
            Ok(_) => Err(FileError::Trailing { file: self.name.clone(), offset }),
            Err(error) => Err(self.fault(error)),
        }
    }

    /// Reads and discards the rest of the file; for a gzip file this also checks its checksum.
    pub fn drain(&mut self) -> Result<(), FileError> {
        io::copy(self, &mut io::sink()).map(drop).map_err(|error| self.fault(error))
    }

    /// Converts the error of a reader on top of this file, whether it comes from the file or from the reader itself.
    /// The latter is an error of the archive, the only structure that an external reader parses.
    #[must_use]
    pub fn fault(&self, source: io::Error) -> FileError {
        let (file, offset) = (self.name.clone(), self.offset);
        if !self.broken {
            return FileError::Tar { file, offset, source };
        }
        match source.kind() {
            io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof
                if self.gzipped =>
            {
                FileError::Gzip { file, offset, source }
            }
            io::ErrorKind::FileTooLarge => FileError::TooLarge { file, needed: offset, limit: self.limit },
            _ => FileError::Read { file, offset, source },
        }
    }
}

impl Read for DatasetFile<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let result = if self.offset >= self.limit && !out.is_empty() {
            Err(io::ErrorKind::FileTooLarge.into())
        } else {
            self.body.read(out)
        };
        match &result {
            Ok(count) => self.offset += *count as u64,
            Err(error) => self.broken = error.kind() != io::ErrorKind::Interrupted,
        }
        result
    }
}

/// Compresses bytes for tests.
#[cfg(test)]
pub(super) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::read::GzEncoder::new(bytes, flate2::Compression::fast());
    let mut compressed = Vec::new();
    encoder.read_to_end(&mut compressed).unwrap();
    compressed
}
