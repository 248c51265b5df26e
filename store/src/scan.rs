//! A walk over the headers of a journal, which skips bodies and damage.
//!
//! The end of a journal is the end of its last valid entry. The bytes behind it are a torn tail, or an entry that is
//! being written. Knows nothing of the meaning of entries.

use std::ops::{ControlFlow, Range};

use crate::{
    StoreError,
    entry::{EntryHeader, HEADER_BYTES, MAGIC, array},
    journal::Journal,
};

const WINDOW: usize = 64 << 10;

/// Describes the result of a walk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct ScanResult {
    /// The end of the last valid entry.
    pub(crate) end: u64,
    /// The number of damaged stretches between valid entries.
    pub(crate) damaged: u64,
    /// The total length of these stretches in bytes.
    pub(crate) damaged_bytes: u64,
}

/// Calls `each` with the offset and the header of every valid entry that lies within the range.
pub(crate) fn scan(
    journal: &Journal,
    Range { start: from, end: bytes }: Range<u64>,
    each: &mut dyn FnMut(u64, &EntryHeader),
) -> Result<ScanResult, StoreError> {
    let mut window = Window::new(journal, bytes);
    let mut found = ScanResult { end: from, ..ScanResult::default() };
    let mut offset = from;
    loop {
        if let Some(header) = window.header(offset)? {
            if offset > found.end {
                found.damaged += 1;
                found.damaged_bytes += offset - found.end;
            }
            each(offset, &header);
            offset += header.entry_bytes();
            found.end = offset;
        } else if let Some(next) = window.next_magic(offset + 1)? {
            offset = next;
        } else {
            return Ok(found);
        }
    }
}

/// The header and the body of an entry; `None` if the entry is damaged.
pub(crate) type ReadEntry<'b> = Option<(EntryHeader, &'b [u8])>;
/// Tells whether to continue with the next entry.
pub(crate) type ScanStep = Result<ControlFlow<()>, StoreError>;

/// Reads entries at known offsets, in the order of the journal: label, offset and body length of each. Calls `each`
/// with the label and with the header and body, or `None` if the entry is damaged.
pub(crate) fn read_bodies<T>(
    journal: &Journal,
    entries: impl IntoIterator<Item = (T, u64, u32)>,
    each: &mut dyn FnMut(T, ReadEntry<'_>) -> ScanStep,
) -> Result<(), StoreError> {
    let mut window = Window::new(journal, journal.bytes()?.unwrap_or(0));
    let mut entries = entries.into_iter().peekable();
    while let Some((what, offset, body_bytes)) = entries.next() {
        let length = HEADER_BYTES + body_bytes as usize;
        // The bytes between entries that are far apart are not read.
        let is_next_near = entries.peek().is_some_and(|(_, next, _)| *next < offset + WINDOW as u64);
        let bytes = window.at(offset, length, if is_next_near { WINDOW } else { 0 })?;
        let header = (bytes.len() >= length)
            .then(|| EntryHeader::decode(&array(bytes), &journal.seal, offset))
            .flatten()
            .map(|header| (header, &bytes[HEADER_BYTES..length]))
            .filter(|(header, body)| header.holds(&journal.seal, body));
        if each(what, header)?.is_break() {
            break;
        }
    }
    Ok(())
}

/// Holds the bytes of the file that were read last.
struct Window<'a> {
    journal: &'a Journal,
    /// The end of the readable part of the file.
    bytes: u64,
    start: u64,
    held: Vec<u8>,
}

impl<'a> Window<'a> {
    /// Makes an empty window on the first `bytes` bytes of a journal.
    fn new(journal: &'a Journal, bytes: u64) -> Self {
        Self { journal, bytes, start: 0, held: Vec::new() }
    }

    /// Returns the held bytes from `offset` on: at least `want` bytes, or fewer at the end of the readable part. If
    /// they are not held, reads the greater of `want` and `ahead` bytes.
    fn at(&mut self, offset: u64, want: usize, ahead: usize) -> Result<&[u8], StoreError> {
        let held = self.start..self.start + self.held.len() as u64;
        if !held.contains(&offset) || held.end < (offset + want as u64).min(self.bytes) {
            let length = self.bytes.saturating_sub(offset).min(want.max(ahead) as u64);
            self.held.resize(length as usize, 0);
            let read = self.journal.read_at(&mut self.held, offset)?;
            self.held.truncate(read);
            self.start = offset;
        }
        Ok(&self.held[(offset - self.start) as usize..])
    }

    /// Returns the header at `offset`, if it is valid and its entry ends within the readable part.
    fn header(&mut self, offset: u64) -> Result<Option<EntryHeader>, StoreError> {
        let seal = self.journal.seal;
        let bytes = self.at(offset, HEADER_BYTES, WINDOW)?;
        let header = (bytes.len() >= HEADER_BYTES)
            .then(|| EntryHeader::decode(&array(bytes), &seal, offset))
            .flatten();
        Ok(header.filter(|header| offset + header.entry_bytes() <= self.bytes))
    }

    /// Returns the next offset, from `offset` on, where an entry may begin.
    fn next_magic(&mut self, mut offset: u64) -> Result<Option<u64>, StoreError> {
        loop {
            let bytes = self.at(offset, MAGIC.len(), WINDOW)?;
            if bytes.len() < MAGIC.len() {
                return Ok(None);
            }
            if let Some(at) = bytes.windows(MAGIC.len()).position(|four| four == MAGIC) {
                return Ok(Some(offset + at as u64));
            }
            // The last three bytes may be the start of a magic that continues in the next window.
            offset += (bytes.len() - MAGIC.len() + 1) as u64;
        }
    }
}
