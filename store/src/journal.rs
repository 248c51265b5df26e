//! A journal file: one generation of a store's journal, read by offset.
//!
//! Every read is positional, so readers can use the file while the writer appends. Does not know which entries are
//! live.

use std::{
    fs::{self, File},
    io::{self, ErrorKind},
    os::unix::fs::{FileExt as _, MetadataExt as _},
    path::{Path, PathBuf},
};

use crate::{
    StoreError, durable,
    entry::{EntryHeader, HEADER_BYTES, JournalSeal, array},
    error::{IoContext as _, Warnings},
    format,
    scan::scan,
};

/// The length of the file's header, and so the offset of the first entry.
pub(crate) const START: u64 = 48;

const MAGIC: &[u8; 8] = b"FEWBITSJ";
/// The most attempts to open the newest file while writers replace it, before the last one.
const TRIES: u32 = 10;

/// Reads one file of the journal.
#[derive(Debug)]
pub(crate) struct Journal {
    pub(crate) file: File,
    pub(crate) path: PathBuf,
    pub(crate) seal: JournalSeal,
}

impl Journal {
    /// Opens the newest generation that is a journal, for reading. Returns `None` if there is none.
    pub(crate) fn open_newest(root: &Path, warnings: &Warnings) -> Result<Option<Self>, StoreError> {
        for _ in 0..TRIES {
            match Self::try_newest(root, warnings) {
                // The file was replaced after it was listed.
                Err(error) if error.is_not_found() => {}
                opened => return opened,
            }
        }
        Self::try_newest(root, warnings)
    }

    fn try_newest(root: &Path, warnings: &Warnings) -> Result<Option<Self>, StoreError> {
        for newest in Self::generations(root)?.into_iter().rev() {
            let path = newest.1.clone();
            if let Some(journal) = Self::open(root, newest, false, warnings)? {
                return Ok(Some(journal));
            }
            warnings.push(format!("{}: not a journal; the next run sets it aside", path.display()));
        }
        Ok(None)
    }

    /// Lists all generations of a store's journal, the newest last. Several exist only if a writer was killed while it
    /// rewrote the journal.
    pub(crate) fn generations(root: &Path) -> Result<Vec<(u64, PathBuf)>, StoreError> {
        let dir = root.join("journal");
        let Some(files) = durable::present(fs::read_dir(&dir)).at("read", &dir)? else { return Ok(vec![]) };
        let mut found = Vec::new();
        for file in files {
            let path = file.at("read", &dir)?.path();
            found.extend(generation_of(&path).map(|generation| (generation, path)));
        }
        found.sort_unstable();
        Ok(found)
    }

    /// Returns the path of a generation's file.
    pub(crate) fn path_of(root: &Path, generation: u64) -> PathBuf {
        root.join("journal").join(format!("{generation}.fbj"))
    }

    /// Opens a file that exists. If its header is damaged, the store's id comes from `STORE`, the generation from the
    /// file's name, and the format from the entries, which are valid in one format only. Returns `None` if `STORE` is
    /// damaged as well or no entry is valid. Only a writer repairs the header.
    pub(crate) fn open(
        root: &Path,
        (generation, path): (u64, PathBuf),
        write: bool,
        warnings: &Warnings,
    ) -> Result<Option<Self>, StoreError> {
        let file = File::options().read(true).write(write).open(&path).at("open", &path)?;
        let mut first = [0; START as usize];
        let read = read_at_most(&file, &mut first, 0).at("read", &path)?;
        if let Some(seal) = parse(&first).filter(|_| read == first.len()) {
            format::refuse_newer(root, seal.format)?;
            return Ok(Some(Self { file, path, seal }));
        }
        let format::StoreVersion::Store { id: store, .. } = format::read_version(root)? else {
            return Ok(None);
        };
        let mut journal =
            Self { file, path, seal: JournalSeal { store, generation, format: format::FORMAT } };
        while !journal.has_entries()? {
            match journal.seal.format {
                1 => return Ok(None),
                format => journal.seal.format = format - 1,
            }
        }
        let Self { file, path, seal } = journal;
        if write {
            warnings.push(format!("{}: its first bytes were damaged and are written again", path.display()));
            file.write_all_at(&first_bytes(&seal), 0).and_then(|()| file.sync_all()).at("write", &path)?;
        }
        Ok(Some(Self { file, path, seal }))
    }

    /// Creates a file without entries.
    pub(crate) fn create(root: &Path, seal: JournalSeal) -> Result<Self, StoreError> {
        let path = Self::path_of(root, seal.generation);
        durable::write(root, &path, &first_bytes(&seal))?;
        let file = File::options().read(true).write(true).open(&path).at("open", &path)?;
        Ok(Self { file, path, seal })
    }

    fn has_entries(&self) -> Result<bool, StoreError> {
        let length = self.file.metadata().at("read", &self.path)?.len();
        let mut any = false;
        scan(self, START..length, &mut |_, _| any = true)?;
        Ok(any)
    }

    /// Returns the file's length; `None` if the file was removed, as every replaced journal is. Readers call this at
    /// every lookup.
    pub(crate) fn bytes(&self) -> Result<Option<u64>, StoreError> {
        let meta = self.file.metadata().at("read", &self.path)?;
        Ok((meta.nlink() > 0).then_some(meta.len()))
    }

    /// Reads the header at an offset. Returns `None` if there is no valid one.
    pub(crate) fn header(&self, offset: u64) -> Result<Option<EntryHeader>, StoreError> {
        let mut bytes = [0; HEADER_BYTES];
        let read = self.read_at(&mut bytes, offset)?;
        Ok((read == HEADER_BYTES).then(|| EntryHeader::decode(&bytes, &self.seal, offset)).flatten())
    }

    /// Reads an entry with a body of `body_bytes` bytes. Returns `None` if the header or the body is damaged.
    pub(crate) fn entry(
        &self,
        offset: u64,
        body_bytes: u32,
    ) -> Result<Option<(EntryHeader, Vec<u8>)>, StoreError> {
        let mut body = vec![0; HEADER_BYTES + body_bytes as usize];
        if self.read_at(&mut body, offset)? < body.len() {
            return Ok(None);
        }
        let header = EntryHeader::decode(&array(&body), &self.seal, offset);
        body.drain(..HEADER_BYTES);
        Ok(header.filter(|header| header.holds(&self.seal, &body)).map(|header| (header, body)))
    }

    /// Reads bytes from `offset` on until `bytes` is full or the file ends. Returns the number of bytes read.
    pub(crate) fn read_at(&self, bytes: &mut [u8], offset: u64) -> Result<usize, StoreError> {
        read_at_most(&self.file, bytes, offset).at("read", &self.path)
    }
}

fn generation_of(path: &Path) -> Option<u64> {
    path.file_name()?.to_str()?.strip_suffix(".fbj")?.parse().ok()
}

fn read_at_most(file: &File, bytes: &mut [u8], offset: u64) -> io::Result<usize> {
    let mut done = 0;
    while done < bytes.len() {
        match file.read_at(&mut bytes[done..], offset + done as u64) {
            Ok(0) => break,
            Ok(more) => done += more,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(done)
}

/// Encodes the file's header: magic, format, reserved, generation, store, checksum. Numbers are little-endian.
pub(crate) fn first_bytes(seal: &JournalSeal) -> [u8; START as usize] {
    let mut bytes = [0; START as usize];
    bytes[..8].copy_from_slice(MAGIC);
    bytes[8..12].copy_from_slice(&seal.format.to_le_bytes());
    bytes[16..24].copy_from_slice(&seal.generation.to_le_bytes());
    bytes[24..40].copy_from_slice(&seal.store);
    let check = blake3::hash(&bytes[..40]);
    bytes[40..].copy_from_slice(&check.as_bytes()[..8]);
    bytes
}

/// Decodes the header that [`first_bytes`] encodes. Returns `None` if the checksum does not match.
pub(crate) fn parse(bytes: &[u8; START as usize]) -> Option<JournalSeal> {
    if !bytes.starts_with(MAGIC) || blake3::hash(&bytes[..40]).as_bytes()[..8] != bytes[40..] {
        return None;
    }
    let (format, generation) =
        (u32::from_le_bytes(array(&bytes[8..12])), u64::from_le_bytes(array(&bytes[16..24])));
    Some(JournalSeal { store: array(&bytes[24..40]), generation, format })
}
