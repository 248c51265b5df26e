//! Archives: records and objects in one file, for import into another store.
//!
//! An archive is a tar file with members `records/N`, each a small journal, then members `objects/DIGEST`. Its content
//! is foreign: names are compared and never used as paths, and every entry must match its checksum, every record its
//! key, every object its digest. Records are held in memory, objects are not. Knows nothing of ops and experiments.

use std::{
    collections::{BTreeMap, HashSet},
    fs::{self, File},
    io::{self, BufReader, BufWriter, Read, Write},
    path::{Path, PathBuf},
};

use crate::{
    Digest, Key, Record, Store, StoreError,
    append::NewEntry,
    durable,
    entry::{BODY_LIMIT, EntryHeader, EntryKind, HEADER_BYTES, JournalSeal, array},
    error::IoContext as _,
    format,
    journal::{self, START},
};

/// The length at which a member of records is complete, in bytes.
const MEMBER_BYTES: usize = 8 << 20;
/// The greatest accepted length of a member of records: its last record may begin just below [`MEMBER_BYTES`].
const MEMBER_LIMIT: u64 = MEMBER_BYTES as u64 + HEADER_BYTES as u64 + BODY_LIMIT as u64;
/// The number of records that are appended in one batch.
const BATCH: usize = 4096;

/// Counts the content of a written archive.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Exported {
    /// The number of records.
    pub records: u64,
    /// The number of objects.
    pub objects: u64,
    /// The length of the file in bytes.
    pub bytes: u64,
}

/// Counts the content of an imported archive.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Imported {
    /// The number of records that were added to this store.
    pub records: u64,
    /// The number of objects that were added to this store.
    pub objects: u64,
    /// The number of records that this store already had.
    pub present: u64,
    /// The keys of records that this store already had with other results. The store keeps its own.
    pub differing: Vec<Key>,
    /// One sentence for each refused part of the archive.
    pub refused: Vec<String>,
}

impl Store {
    /// Writes an archive of the records that `wanted` selects and of their objects. Leaves out records that are damaged
    /// or have a damaged or missing object. Returns `None`, and leaves `path` as it was, if no record remains.
    pub fn export(&self, wanted: &dyn Fn(&Key) -> bool, path: &Path) -> Result<Option<Exported>, StoreError> {
        let mut done = Exported::default();
        let unfinished = PathBuf::from(format!("{}.unfinished", path.display()));
        let file = File::create(&unfinished).at("create", &unfinished)?;
        let written = self.write_archive(wanted, file, &unfinished, &mut done);
        let is_empty = done.records == 0;
        let finish = || if is_empty { fs::remove_file(&unfinished) } else { fs::rename(&unfinished, path) };
        let moved = written.and_then(|()| finish().at("write", path));
        if moved.is_err() {
            let _ = fs::remove_file(&unfinished);
        }
        moved?;
        if is_empty {
            return Ok(None);
        }
        let folder = path.parent().filter(|parent| !parent.as_os_str().is_empty());
        durable::sync(folder.unwrap_or(Path::new(".")))?;
        done.bytes = fs::metadata(path).at("read", path)?.len();
        Ok(Some(done))
    }

    fn write_archive(
        &self,
        wanted: &dyn Fn(&Key) -> bool,
        file: File,
        path: &Path,
        done: &mut Exported,
    ) -> Result<(), StoreError> {
        let mut archive = tar::Builder::new(BufWriter::new(file));
        let mut member = Member::new();
        let mut kept = HashSet::new();
        let items = self.contents()?;
        for item in items.iter().filter(|item| wanted(&item.key)) {
            let Some(record) = self.record(&item.key)? else { continue };
            // The import would refuse a record without all of its objects.
            let mut whole = true;
            for digest in &item.objects {
                whole = whole && (kept.contains(digest) || self.objects.is_good(digest)?);
            }
            if !whole {
                continue;
            }
            if member.bytes.len() >= MEMBER_BYTES {
                member = member.end(&mut archive).at("write", path)?;
            }
            member.add(&NewEntry::of_record(item.key, &record)?).at("write", path)?;
            done.records += 1;
            kept.extend(item.objects.iter().copied());
        }
        member.end(&mut archive).at("write", path)?;
        let mut kept: Vec<Digest> = kept.into_iter().collect();
        kept.sort_unstable();
        for digest in kept {
            let Some(bytes) = self.object(&digest)? else { continue };
            append(&mut archive, &format!("objects/{digest}"), &bytes).at("write", path)?;
            done.objects += 1;
        }
        let file = archive.into_inner().and_then(|file| Ok(file.into_inner()?)).at("write", path)?;
        file.sync_all().at("sync", path)
    }

    /// Imports an archive: first the objects that its records keep, then the records. Content that fails its check is
    /// refused and reported; the rest is imported.
    pub fn import(&self, path: &Path) -> Result<Imported, StoreError> {
        self.writer()?;
        let file = File::open(path).at("open", path)?;
        let length = file.metadata().at("read", path)?.len();
        let mut done = Imported::default();
        let mut records: BTreeMap<Key, Record> = BTreeMap::new();
        let mut wanted: HashSet<Digest> = HashSet::new();
        let mut archive = tar::Archive::new(BufReader::new(file));
        for (at, member) in archive.entries().at("read", path)?.raw(true).enumerate() {
            // Without a readable member header, the start of the next member is unknown.
            let Ok(mut member) = member else {
                done.refused.push(format!("what follows member {at}: not a tar file, or damaged"));
                break;
            };
            let name = String::from_utf8_lossy(&member.path_bytes()).into_owned();
            if !member.header().entry_type().is_file() || member.size() > length {
                done.refused.push(format!("member {at}: not a file"));
            } else if name.starts_with("records/") {
                let found = read_member(&mut member, &mut done.refused).at("read", path)?;
                wanted.extend(found.iter().flat_map(|(_, record)| objects_of(record)));
                records.extend(found);
            } else if let Some(digest) = name.strip_prefix("objects/").and_then(|name| name.parse().ok()) {
                if wanted.contains(&digest) {
                    self.take_object(&digest, &mut member, &mut done)?;
                }
            } else {
                done.refused.push(format!("member {at}: neither records nor an object"));
            }
        }
        if records.is_empty() && done.refused.is_empty() {
            done.refused.push("it holds no records".into());
        }
        self.take_in(records, &mut done)?;
        Ok(done)
    }

    fn take_object(
        &self,
        digest: &Digest,
        content: &mut impl Read,
        done: &mut Imported,
    ) -> Result<(), StoreError> {
        if self.objects.sync_if_good(digest)? {
            return Ok(());
        }
        if self.objects.put_from(digest, content, self.shared_warnings())? {
            done.objects += 1;
        } else {
            done.refused.push(format!("object {digest}: its content is another"));
        }
        Ok(())
    }

    /// Appends the records that this store does not have. Refuses records with missing objects.
    fn take_in(&self, records: BTreeMap<Key, Record>, done: &mut Imported) -> Result<(), StoreError> {
        let mut entries = Vec::new();
        for (key, record) in records {
            if let Some(here) = self.record(&key)? {
                done.present += 1;
                if !here.says_the_same_as(&record) {
                    done.differing.push(key);
                }
                continue;
            }
            if let Some(lost) = objects_of(&record).find(|digest| !self.has_object(digest)) {
                done.refused.push(format!("record {key}: its object {lost} is missing"));
                continue;
            }
            entries.push(NewEntry::of_record(key, &record)?);
            done.records += 1;
            if entries.len() == BATCH {
                self.append(&std::mem::take(&mut entries), true)?;
            }
        }
        if entries.is_empty() { Ok(()) } else { self.append(&entries, true) }
    }
}

fn objects_of(record: &Record) -> impl Iterator<Item = Digest> + '_ {
    record.parts.values().filter(|_| record.kept).copied()
}

/// Collects records for one member of an archive.
struct Member {
    seal: JournalSeal,
    bytes: Vec<u8>,
}

impl Member {
    fn new() -> Self {
        Self::numbered(format::new_id(), 0)
    }

    fn numbered(id: [u8; 16], number: u64) -> Self {
        let seal = JournalSeal { store: id, generation: number, format: format::FORMAT };
        Self { seal, bytes: journal::first_bytes(&seal).to_vec() }
    }

    fn add(&mut self, entry: &NewEntry) -> io::Result<()> {
        let offset = self.bytes.len() as u64;
        entry.write(&self.seal, offset, &mut self.bytes).map(drop)
    }

    /// Writes the member to the archive and starts the next one.
    fn end(self, archive: &mut tar::Builder<impl Write>) -> io::Result<Self> {
        let JournalSeal { store, generation, .. } = self.seal;
        append(archive, &format!("records/{generation}"), &self.bytes)?;
        Ok(Self::numbered(store, generation + 1))
    }
}

/// Adds a file to the archive. The header has no times and no owner, so that two archives of the same results differ
/// only in the archive's id.
fn append(archive: &mut tar::Builder<impl Write>, name: &str, bytes: &[u8]) -> io::Result<()> {
    let mut header = tar::Header::new_ustar();
    header.set_size(bytes.len() as u64);
    header.set_mode(0o644);
    archive.append_data(&mut header, name, bytes)
}

/// Reads a member of records. Stops at the first damaged entry, because the start of the next one is unknown.
fn read_member(member: &mut impl Read, refused: &mut Vec<String>) -> io::Result<Vec<(Key, Record)>> {
    let mut bytes = Vec::new();
    member.take(MEMBER_LIMIT + 1).read_to_end(&mut bytes)?;
    let mut found = Vec::new();
    let seal = bytes.first_chunk().and_then(journal::parse);
    let Some(seal) = seal.filter(|seal| bytes.len() as u64 <= MEMBER_LIMIT && seal.format <= format::FORMAT)
    else {
        refused.push("records: damaged, or of a newer fewbits".into());
        return Ok(found);
    };
    let mut at = START as usize;
    while at < bytes.len() {
        let Some((header, body)) = entry_at(&bytes, &seal, at) else {
            refused.push(format!("records {}: damaged from byte {at} on", seal.generation));
            break;
        };
        at += HEADER_BYTES + body.len();
        match Record::decode(body) {
            Some(record)
                if header.kind == EntryKind::Record && Key::derive(&record.preimage) == header.key =>
            {
                found.push((header.key, record));
            }
            _ => refused.push(format!("record {}: it is not that of its key", header.key)),
        }
    }
    Ok(found)
}

fn entry_at<'b>(bytes: &'b [u8], seal: &JournalSeal, at: usize) -> Option<(EntryHeader, &'b [u8])> {
    let (header, rest) = bytes.get(at..)?.split_at_checked(HEADER_BYTES)?;
    let header = EntryHeader::decode(&array(header), seal, at as u64)?;
    let body = rest.get(..header.body_bytes as usize)?;
    header.holds(seal, body).then_some((header, body))
}
