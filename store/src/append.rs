//! The end of a journal, where its only writer adds entries.
//!
//! Knows how to take back what a failed write left. Knows nothing of what entries mean.

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

/// Holds an entry that has no place yet.
pub(crate) struct NewEntry {
    kind: EntryKind,
    key: Key,
    kept: bool,
    part: Option<Digest>,
    body: Vec<u8>,
    body_bytes: u32,
}

impl NewEntry {
    /// Makes the entry of a record.
    pub(crate) fn of_record(key: Key, record: &Record) -> Result<Self, StoreError> {
        let body = record.encode().map_err(|source| StoreError::Encode { key, source })?;
        Self::new(EntryKind::Record, key, record.kept, record.only_part(), body)
    }

    /// Makes an entry of any kind.
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

    /// Writes the entry down for its place in a journal, and gives its header.
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

/// Adds entries to a journal.
#[derive(Debug)]
pub(crate) struct Appender {
    journal: Arc<Journal>,
    /// The length of what is known to be good.
    end: u64,
    /// Bytes of a failed write may follow the end. They must go before the next write, which they could outlast as
    /// entries that were never reported.
    soiled: bool,
}

impl Appender {
    pub(crate) fn new(journal: Arc<Journal>, end: u64) -> Self {
        Self { journal, end, soiled: false }
    }

    /// Adds entries in one write, and with `sync` brings them to the disk; gives their places. On an error none of
    /// them is in the journal.
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
            // Where even this fails, it is tried again before the next write.
            let _ = self.cut();
            return Err(error);
        }
        self.soiled = false;
        self.end += bytes.len() as u64;
        Ok(places)
    }

    /// Cuts off whatever follows the end.
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
