//! Results in one file, to be carried to another store.
//!
//! A tar file: `records/N`, each a small journal of its own, then `objects/DIGEST`. What is read from one is foreign:
//! names are compared and never used as paths, and nothing is taken in that does not prove itself by its checksum, its key
//! or its digest. Records are held in memory, objects are not.

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

/// Records go into a member until it has so many bytes.
const MEMBER_BYTES: usize = 8 << 20;
/// A longer member of records is refused: the last record may begin just below [`MEMBER_BYTES`].
const MEMBER_LIMIT: u64 = MEMBER_BYTES as u64 + HEADER_BYTES as u64 + BODY_LIMIT as u64;
/// Records that are appended together.
const BATCH: usize = 4096;

/// Says what was written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Exported {
    /// How many records.
    pub records: u64,
    /// How many objects.
    pub objects: u64,
    /// How many bytes the file has.
    pub bytes: u64,
}

/// Says what was taken in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Imported {
    /// How many records are new here.
    pub records: u64,
    /// How many objects are new here.
    pub objects: u64,
    /// How many records were here already.
    pub present: u64,
    /// Records that are here already and say something else, which stays.
    pub differing: Vec<Key>,
    /// What was refused, in sentences.
    pub refused: Vec<String>,
}

impl Store {
    /// Writes the records that `wanted` names, with their objects, to a file. What is damaged is left out; none where
    /// nothing is left, and then no file is touched.
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
            // Without its objects it would only be refused over there.
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

    /// Takes in an archive's records, and their objects before them. What does not prove itself is refused, and the
    /// rest is taken.
    pub fn import(&self, path: &Path) -> Result<Imported, StoreError> {
        self.writer()?;
        let file = File::open(path).at("open", path)?;
        let length = file.metadata().at("read", path)?.len();
        let mut done = Imported::default();
        let mut records: BTreeMap<Key, Record> = BTreeMap::new();
        let mut wanted: HashSet<Digest> = HashSet::new();
        let mut archive = tar::Archive::new(BufReader::new(file));
        for (at, member) in archive.entries().at("read", path)?.raw(true).enumerate() {
            // What follows a member that cannot be read cannot be found.
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

    /// Appends the records that are new here and whole.
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

/// Holds records on their way into an archive.
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

    /// Writes the member down, and begins the next one.
    fn end(self, archive: &mut tar::Builder<impl Write>) -> io::Result<Self> {
        let JournalSeal { store, generation, .. } = self.seal;
        append(archive, &format!("records/{generation}"), &self.bytes)?;
        Ok(Self::numbered(store, generation + 1))
    }
}

/// Adds a file. Without times or owners: the same results make the same bytes, but for the archive's id.
fn append(archive: &mut tar::Builder<impl Write>, name: &str, bytes: &[u8]) -> io::Result<()> {
    let mut header = tar::Header::new_ustar();
    header.set_size(bytes.len() as u64);
    header.set_mode(0o644);
    archive.append_data(&mut header, name, bytes)
}

/// Reads a member of records. Behind the first entry that is damaged nothing can be found.
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
