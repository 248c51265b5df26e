//! A walk over the headers of a journal, which passes over bodies and over damage.
//!
//! Knows nothing of what entries mean. The end is behind the last valid entry: what follows is a torn tail, or an
//! entry that is being written at this moment.

use std::ops::{ControlFlow, Range};

use crate::{
    StoreError,
    entry::{EntryHeader, HEADER_BYTES, MAGIC, array},
    journal::Journal,
};

const WINDOW: usize = 64 << 10;

/// Says what a walk found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct ScanResult {
    /// Where the last valid entry ends.
    pub(crate) end: u64,
    /// How many stretches between valid entries are damaged.
    pub(crate) damaged: u64,
    /// How many bytes they have.
    pub(crate) damaged_bytes: u64,
}

/// Calls `each` with place and header of every valid entry that lies within the stretch.
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

/// An entry's header and body, unless it is damaged.
pub(crate) type ReadEntry<'b> = Option<(EntryHeader, &'b [u8])>;
/// Says whether to go on with the next entry.
pub(crate) type ScanStep = Result<ControlFlow<()>, StoreError>;

/// Reads entries at known places, given in the order of the journal. Calls `each` with the entry's label `T` and with its
/// header and body, or none where the entry is damaged.
pub(crate) fn read_bodies<T>(
    journal: &Journal,
    entries: impl IntoIterator<Item = (T, u64, u32)>,
    each: &mut dyn FnMut(T, ReadEntry<'_>) -> ScanStep,
) -> Result<(), StoreError> {
    let mut window = Window::new(journal, journal.bytes()?.unwrap_or(0));
    let mut entries = entries.into_iter().peekable();
    while let Some((what, offset, body_bytes)) = entries.next() {
        let length = HEADER_BYTES + body_bytes as usize;
        // The stretch between entries that are far apart is not read.
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

/// Holds the stretch of the file that was read last.
struct Window<'a> {
    journal: &'a Journal,
    /// Where the stretch ends.
    bytes: u64,
    start: u64,
    held: Vec<u8>,
}

impl<'a> Window<'a> {
    /// Holds nothing yet of a journal that has this many bytes.
    fn new(journal: &'a Journal, bytes: u64) -> Self {
        Self { journal, bytes, start: 0, held: Vec::new() }
    }

    /// Gives all that is held from `offset` on, at least `want` bytes unless the stretch ends before. Where they are not
    /// held, reads `ahead` bytes if that is more.
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

    /// Gives the entry at `offset`, if it is valid and whole.
    fn header(&mut self, offset: u64) -> Result<Option<EntryHeader>, StoreError> {
        let seal = self.journal.seal;
        let bytes = self.at(offset, HEADER_BYTES, WINDOW)?;
        let header = (bytes.len() >= HEADER_BYTES)
            .then(|| EntryHeader::decode(&array(bytes), &seal, offset))
            .flatten();
        Ok(header.filter(|header| offset + header.entry_bytes() <= self.bytes))
    }

    /// Gives the next place at or behind `offset` where an entry may begin.
    fn next_magic(&mut self, mut offset: u64) -> Result<Option<u64>, StoreError> {
        loop {
            let bytes = self.at(offset, MAGIC.len(), WINDOW)?;
            if bytes.len() < MAGIC.len() {
                return Ok(None);
            }
            if let Some(at) = bytes.windows(MAGIC.len()).position(|four| four == MAGIC) {
                return Ok(Some(offset + at as u64));
            }
            // The last three bytes may begin a magic that the next window ends.
            offset += (bytes.len() - MAGIC.len() + 1) as u64;
        }
    }
}
