//! A mailbox: an append-only file of messages, each with its own checksum, that one process writes and another reads.
//!
//! Both open the file for each operation and close it afterwards: a network file system shows a reader what a writer has
//! closed. A reader remembers its place, so that its work grows with the new messages only. Knows nothing of what messages say.
//!
//! ```text
//! length of the body: u32   checksum: 16 bytes   body: MessagePack
//! ```
//! The checksum covers the place of the message in the file, its length and its body.

use std::{
    fs::{File, OpenOptions},
    os::unix::fs::{FileExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use rustix::fs::OFlags;
use serde::{Serialize, de::DeserializeOwned};
use xxhash_rust::xxh3::xxh3_128;

use crate::{StoreError, durable, entry::BODY_LIMIT, error::IoContext as _};

/// The length of the header of a message in bytes.
const HEADER: usize = 20;
/// The most bytes that a reader takes at once, unless a single message is longer.
const PIECE: u64 = 4 << 20;

/// The time that the rest of a message may take.
const COMPLETION: Duration = Duration::from_secs(10);

/// Writes a mailbox.
#[derive(Debug)]
pub struct MailWriter {
    path: PathBuf,
    /// The bytes of all messages so far.
    end: u64,
    /// Whether an append failed, and may have left bytes behind the end.
    is_torn: bool,
}

/// Reads a mailbox from its beginning.
#[derive(Debug)]
pub struct MailReader {
    path: PathBuf,
    place: u64,
    is_damaged: bool,
    /// The length of the file while its last message is incomplete, and the time since it did not grow.
    incomplete: Option<(u64, Instant)>,
}

impl MailWriter {
    /// Makes an empty mailbox.
    pub(super) fn create(path: &Path) -> Result<Self, StoreError> {
        let made = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
        made.and_then(|file| file.sync_all()).at("create", path)?;
        path.parent().map_or(Ok(()), durable::sync)?;
        Ok(Self { path: path.to_owned(), end: 0, is_torn: false })
    }

    /// Goes on with a mailbox that another process left, behind the last message that `reader` has read. Cuts off an
    /// unfinished message.
    pub fn resume(reader: &MailReader) -> Result<Self, StoreError> {
        let (path, end) = (reader.path.clone(), reader.place);
        let file = open(&path, true)?;
        file.set_len(end).and_then(|()| file.sync_all()).at("write", &path)?;
        Ok(Self { path, end, is_torn: false })
    }

    /// Returns the name of the worker that the mailbox belongs to.
    #[must_use]
    pub fn worker(&self) -> &str {
        self.path.parent().and_then(|folder| folder.file_name()).and_then(|name| name.to_str()).unwrap_or("")
    }

    /// Appends messages. With `sync`, they have reached the disk, or the server of a network file system, when this returns.
    /// Fails with [`StoreError::Claimed`] if another process has appended to the mailbox.
    pub fn append<M: Serialize>(&mut self, messages: &[M], sync: bool) -> Result<(), StoreError> {
        let mut bytes = Vec::new();
        for message in messages {
            let body =
                encode(message).map_err(|source| StoreError::Message { path: self.path.clone(), source })?;
            if body.len() > BODY_LIMIT as usize {
                let (bytes, limit) = (body.len(), BODY_LIMIT);
                return Err(StoreError::LongMessage { path: self.path.clone(), bytes, limit });
            }
            let length = (body.len() as u32).to_le_bytes();
            bytes.extend_from_slice(&length);
            bytes.extend_from_slice(&check(self.end + (bytes.len() - length.len()) as u64, &body));
            bytes.extend_from_slice(&body);
        }
        let file = open(&self.path, true)?;
        let found = file.metadata().at("look at", &self.path)?.len();
        if found != self.end {
            if !self.is_torn || found < self.end {
                return Err(StoreError::Claimed {
                    path: self.path.clone(),
                    holder: crate::Holder::default(),
                });
            }
            file.set_len(self.end).at("write", &self.path)?;
        }
        self.is_torn = true;
        let written = file.write_all_at(&bytes, self.end);
        written.and_then(|()| if sync { file.sync_data() } else { Ok(()) }).at("write", &self.path)?;
        self.is_torn = false;
        self.end += bytes.len() as u64;
        Ok(())
    }
}

impl MailReader {
    /// Makes a reader; the file need not exist yet.
    #[must_use]
    pub fn new(path: &Path) -> Self {
        Self { path: path.to_owned(), place: 0, is_damaged: false, incomplete: None }
    }

    /// Returns the messages that were appended since the last call, some megabytes at most. A message of another version of the
    /// program, which this one cannot decode, is `None`. A missing file has no messages.
    pub fn read<M: DeserializeOwned>(&mut self) -> Result<Vec<Option<M>>, StoreError> {
        let Some(file) = durable::present(open_plain(&self.path, false)).at("read", &self.path)? else {
            return Ok(vec![]);
        };
        let length = file.metadata().at("look at", &self.path)?.len();
        let fresh = length.saturating_sub(self.place);
        if fresh < HEADER as u64 {
            self.note_incomplete(length);
            return Ok(vec![]);
        }
        let mut bytes = vec![0; fresh.min(PIECE) as usize];
        file.read_exact_at(&mut bytes, self.place).at("read", &self.path)?;
        let first = u64::from(u32_at(&bytes)) + HEADER as u64;
        if first > bytes.len() as u64 && first <= fresh && first <= u64::from(BODY_LIMIT) + HEADER as u64 {
            bytes.resize(first as usize, 0);
            file.read_exact_at(&mut bytes, self.place).at("read", &self.path)?;
        }
        let (mut messages, mut rest) = (Vec::new(), &bytes[..]);
        self.is_damaged = false;
        while let Some((header, behind)) = rest.split_at_checked(HEADER) {
            let length = u32_at(header);
            self.is_damaged = length > BODY_LIMIT;
            let Some((body, behind)) = behind.split_at_checked(length as usize) else { break };
            if header[4..] != check(self.place, body) {
                self.is_damaged = true;
                break;
            }
            messages.push(decode(body));
            self.place += (HEADER + body.len()) as u64;
            rest = behind;
        }
        self.note_incomplete(length);
        Ok(messages)
    }

    /// Whether the last call of [`Self::read`] met bytes that are no message, or a message that stays incomplete. A network file
    /// system may show such bytes for a moment.
    #[must_use]
    pub fn is_damaged(&self) -> bool {
        let stays = |(_, since): (u64, Instant)| since.elapsed() > COMPLETION;
        self.is_damaged || self.incomplete.is_some_and(stays)
    }

    /// Notes whether the file of this length ends in an incomplete message: a damaged length looks like one.
    fn note_incomplete(&mut self, length: u64) {
        self.incomplete = match self.incomplete {
            _ if length <= self.place => None,
            Some((before, since)) if before == length => Some((before, since)),
            _ => Some((length, Instant::now())),
        };
    }
}

/// Encodes the body of a message as a `MessagePack` map with named fields, so that later versions can add fields.
pub fn encode<M: Serialize>(message: &M) -> Result<Vec<u8>, rmp_serde::encode::Error> {
    rmp_serde::to_vec_named(message)
}

/// Returns whether a message is short enough for a mailbox, with some room for what stands around it.
pub fn fits<M: Serialize>(message: &M) -> bool {
    encode(message).is_ok_and(|body| body.len() < BODY_LIMIT as usize - 1024)
}

/// Decodes the body of a message; `None` if it is another program's.
#[must_use]
pub fn decode<M: DeserializeOwned>(body: &[u8]) -> Option<M> {
    rmp_serde::from_slice(body).ok()
}

/// Opens a mailbox, but neither a link nor a pipe in its place.
fn open_plain(path: &Path, write: bool) -> std::io::Result<File> {
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
    OpenOptions::new().read(true).write(write).custom_flags(flags.bits() as i32).open(path)
}

fn open(path: &Path, write: bool) -> Result<File, StoreError> {
    open_plain(path, write).at("open", path)
}

fn u32_at(bytes: &[u8]) -> u32 {
    u32::from_le_bytes(crate::entry::array(bytes))
}

fn check(place: u64, body: &[u8]) -> [u8; 16] {
    let mut text = Vec::with_capacity(12 + body.len());
    text.extend_from_slice(&place.to_le_bytes());
    text.extend_from_slice(&(body.len() as u32).to_le_bytes());
    text.extend_from_slice(body);
    xxh3_128(&text).to_le_bytes()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn mailbox() -> (tempfile::TempDir, MailWriter, MailReader) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("jobs");
        let writer = MailWriter::create(&path).unwrap();
        (dir, writer, MailReader::new(&path))
    }

    #[test]
    fn a_reader_gets_each_message_once() {
        let (_dir, mut writer, mut reader) = mailbox();
        assert_eq!(reader.read::<String>().unwrap(), []);
        writer.append(&["one", "two"], true).unwrap();
        assert_eq!(reader.read().unwrap(), [Some("one".to_owned()), Some("two".to_owned())]);
        assert_eq!(reader.read::<String>().unwrap(), []);
        let long = "x".repeat(9 << 20);
        writer.append(&[long.as_str(), "end"], false).unwrap();
        assert_eq!(reader.read().unwrap(), [Some(long)], "longer than a piece");
        assert_eq!(reader.read().unwrap(), [Some("end".to_owned())]);
        writer.append(&[7], true).unwrap();
        assert_eq!(reader.read::<String>().unwrap(), [None], "a message of another kind");
    }

    #[test]
    fn every_cut_waits_and_every_flip_is_damage() {
        let (_dir, mut writer, mut reader) = mailbox();
        writer.append(&["first"], true).unwrap();
        assert_eq!(reader.read::<String>().unwrap().len(), 1);
        let whole = fs::read(&writer.path).unwrap();
        writer.append(&["second"], true).unwrap();
        let both = fs::read(&writer.path).unwrap();
        for at in whole.len()..both.len() {
            fs::write(&writer.path, &both[..at]).unwrap();
            assert_eq!(reader.read::<String>().unwrap(), [], "cut at {at}");
            let mut bad = both.clone();
            bad[at] ^= 4;
            fs::write(&writer.path, &bad).unwrap();
            assert_eq!(reader.read::<String>().unwrap(), [], "flip at {at}");
        }
        assert!(reader.is_damaged());
        fs::write(&writer.path, &both).unwrap();
        assert_eq!(reader.read().unwrap(), [Some("second".to_owned())]);
        assert!(!reader.is_damaged());
        // The same bytes at another place are no message.
        fs::write(&writer.path, [&both[..], &whole[..]].concat()).unwrap();
        assert_eq!(reader.read::<String>().unwrap(), []);
        assert!(reader.is_damaged());
    }

    #[test]
    fn a_later_writer_goes_on_behind_the_last_whole_message() {
        let (_dir, mut writer, mut reader) = mailbox();
        writer.append(&["one"], true).unwrap();
        let torn = [&fs::read(&writer.path).unwrap()[..], b"torn"].concat();
        fs::write(&writer.path, torn).unwrap();
        assert_eq!(reader.read::<String>().unwrap().len(), 1);
        let mut later = MailWriter::resume(&reader).unwrap();
        later.append(&["two"], true).unwrap();
        assert_eq!(reader.read().unwrap(), [Some("two".to_owned())]);
        // The former writer, which still runs, is told instead of damaging the mailbox.
        assert!(matches!(writer.append(&["three"], true), Err(StoreError::Claimed { .. })));
        assert_eq!(reader.read::<String>().unwrap(), []);
    }

    #[test]
    fn a_mailbox_that_is_gone_or_no_file_is_an_error_for_its_writer_alone() {
        let (dir, mut writer, mut reader) = mailbox();
        fs::remove_file(&writer.path).unwrap();
        assert_eq!(reader.read::<String>().unwrap(), []);
        assert!(writer.append(&["one"], true).is_err());
        std::os::unix::fs::symlink(dir.path().join("elsewhere"), &writer.path).unwrap();
        assert!(reader.read::<String>().is_err() && writer.append(&["one"], true).is_err());
    }
}
