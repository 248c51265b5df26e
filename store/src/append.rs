//! The end of a journal, where the store's only writer appends entries.
//!
//! Truncates the bytes that a failed write leaves. Knows nothing of the meaning of entries.

use std::{
    io::{self, Write},
    os::unix::fs::FileExt as _,
    sync::Arc,
};

use crate::{
    Digest, Key, Record, StoreError,
    entry::{BODY_LIMIT, EntryHeader, EntryKind, JournalSeal},
    error::IoContext as _,
    journal::Journal,
};

/// Holds an encoded entry that has no offset yet.
pub(crate) struct NewEntry {
    kind: EntryKind,
    key: Key,
    kept: bool,
    part: Option<Digest>,
    body: Vec<u8>,
    body_bytes: u32,
}

impl NewEntry {
    /// Encodes a record as an entry.
    pub(crate) fn of_record(key: Key, record: &Record) -> Result<Self, StoreError> {
        let body = record.encode().map_err(|source| StoreError::Encode { key, source })?;
        Self::new(EntryKind::Record, key, record.kept, record.only_part(), body)
    }

    /// Makes an entry of any kind. A body longer than [`BODY_LIMIT`] is an error.
    pub(crate) fn new(
        kind: EntryKind,
        key: Key,
        kept: bool,
        part: Option<Digest>,
        body: Vec<u8>,
    ) -> Result<Self, StoreError> {
        match u32::try_from(body.len()) {
            Ok(body_bytes) if body_bytes <= BODY_LIMIT => {
                Ok(Self { kind, key, kept, part, body, body_bytes })
            }
            _ => Err(StoreError::TooLarge { key, bytes: body.len(), limit: BODY_LIMIT }),
        }
    }

    /// Writes the entry for its offset in a journal and returns its header.
    pub(crate) fn write(
        &self,
        seal: &JournalSeal,
        offset: u64,
        to: &mut impl Write,
    ) -> io::Result<EntryHeader> {
        let Self { kind, key, kept, part, body_bytes, .. } = *self;
        let header = EntryHeader { kind, key, kept, part, body_bytes, body_check: seal.check(&self.body) };
        to.write_all(&header.encode(seal, offset))?;
        to.write_all(&self.body)?;
        Ok(header)
    }
}

/// Appends entries to a journal.
#[derive(Debug)]
pub(crate) struct Appender {
    journal: Arc<Journal>,
    /// The end of the last entry that was written successfully, in bytes from the start of the file.
    end: u64,
    /// Whether bytes of a failed write may follow `end`. They are truncated before the next write: a shorter write
    /// would leave some of them behind it, and readers would find entries that were never reported.
    soiled: bool,
}

impl Appender {
    pub(crate) fn new(journal: Arc<Journal>, end: u64) -> Self {
        Self { journal, end, soiled: false }
    }

    /// Appends entries in one write, and syncs the file if `sync` is set. Returns each entry's offset and header. After
    /// an error none of the entries is in the journal.
    pub(crate) fn append(
        &mut self,
        entries: &[NewEntry],
        sync: bool,
    ) -> Result<Vec<(u64, EntryHeader)>, StoreError> {
        if self.soiled {
            self.cut()?;
        }
        let mut bytes = Vec::new();
        let mut places = Vec::with_capacity(entries.len());
        for entry in entries {
            let offset = self.end + bytes.len() as u64;
            let header =
                entry.write(&self.journal.seal, offset, &mut bytes).at("write", &self.journal.path)?;
            places.push((offset, header));
        }
        self.soiled = true;
        let journal = &self.journal;
        let written = journal.file.write_all_at(&bytes, self.end).at("write", &journal.path);
        let written = written.and_then(|()| if sync { self.sync() } else { Ok(()) });
        if let Err(error) = written {
            // If truncation fails too, the next append tries it again.
            let _ = self.cut();
            return Err(error);
        }
        self.soiled = false;
        self.end += bytes.len() as u64;
        Ok(places)
    }

    /// Truncates the file at `end`.
    pub(crate) fn cut(&mut self) -> Result<(), StoreError> {
        self.journal.file.set_len(self.end).at("cut back", &self.journal.path)?;
        self.sync()?;
        self.soiled = false;
        Ok(())
    }

    fn sync(&self) -> Result<(), StoreError> {
        self.journal.file.sync_data().at("sync", &self.journal.path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_over_the_limit_makes_no_entry() {
        let of = |bytes: u32| {
            NewEntry::new(EntryKind::Record, Key::derive("{}"), false, None, vec![0; bytes as usize]).is_ok()
        };
        assert!(of(BODY_LIMIT));
        assert!(!of(BODY_LIMIT + 1));
    }
}
