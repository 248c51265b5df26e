//! The objects of a store: contents in files that are named by their digest.
//!
//! Every read checks the content against its digest. A write of an existing object first checks the file on the disk,
//! and keeps it only if it is good. Knows nothing of records or of the meaning of an object.

use std::{
    fs::{self, File},
    io::{ErrorKind, Read, Write as _},
    path::{Path, PathBuf},
};

use crate::{
    Digest, StoreError, durable,
    error::{IoContext as _, Warnings},
};

/// Reads and writes objects.
#[derive(Debug)]
pub(crate) struct Objects {
    root: PathBuf,
}

/// Describes the file of an object.
pub(crate) enum ObjectState {
    Good(Vec<u8>),
    Bad,
    Missing,
}

impl Objects {
    pub(crate) fn new(root: &Path) -> Self {
        Self { root: root.to_owned() }
    }

    /// Returns the path of an object, whether it exists or not.
    pub(crate) fn path(&self, digest: &Digest) -> PathBuf {
        let name = digest.to_string();
        self.root.join("objects").join(&name[..2]).join(&name[2..])
    }

    /// Whether the object's file exists and is not empty. Does not check its content.
    pub(crate) fn has(&self, digest: &Digest) -> bool {
        fs::metadata(self.path(digest)).is_ok_and(|meta| meta.is_file() && meta.len() > 0)
    }

    /// Reads an object and checks it against its digest.
    pub(crate) fn read_object(&self, digest: &Digest) -> Result<ObjectState, StoreError> {
        let path = self.path(digest);
        Ok(match durable::read_if_present(&path)? {
            Some(bytes) if Digest::hash(&bytes) == *digest => ObjectState::Good(bytes),
            None if fs::symlink_metadata(&path).is_err() => ObjectState::Missing,
            Some(_) | None => ObjectState::Bad,
        })
    }

    /// Whether the object's file matches its digest. Does not hold the content in memory.
    pub(crate) fn is_good(&self, digest: &Digest) -> Result<bool, StoreError> {
        let path = self.path(digest);
        let file = durable::present(File::open(&path)).at("read", &path)?;
        let found =
            file.map(|file| durable::present(Digest::of_reader(file)).at("read", &path)).transpose()?;
        Ok(found.flatten() == Some(*digest))
    }

    /// Whether the object's file matches its digest; if so, syncs it. A killed process may have renamed the file
    /// without syncing its folder.
    pub(crate) fn sync_if_good(&self, digest: &Digest) -> Result<bool, StoreError> {
        if !self.is_good(digest)? {
            return Ok(false);
        }
        let path = self.path(digest);
        durable::sync(&path)?;
        path.parent().map_or(Ok(()), durable::sync)?;
        Ok(true)
    }

    /// Writes a content as an object and syncs it. Returns its digest. Moves a damaged file of that digest to `aside/`.
    pub(crate) fn put(&self, bytes: &[u8], warnings: &Warnings) -> Result<Digest, StoreError> {
        let digest = Digest::hash(bytes);
        let path = self.path(&digest);
        if self.sync_if_good(&digest)? {
            return Ok(digest);
        }
        if fs::symlink_metadata(&path).is_ok() {
            self.set_aside(&digest, warnings)?;
        }
        path.parent().map_or(Ok(()), durable::make_dir)?;
        durable::write(&self.root, &path, bytes)?;
        Ok(digest)
    }

    /// Writes a content as the object of a claimed digest, without holding it in memory. Returns false, and stores
    /// nothing, if the content does not match the digest.
    pub(crate) fn put_from(
        &self,
        digest: &Digest,
        content: &mut impl Read,
        warnings: &Warnings,
    ) -> Result<bool, StoreError> {
        let path = self.path(digest);
        if fs::symlink_metadata(&path).is_ok() {
            self.set_aside(digest, warnings)?;
        }
        path.parent().map_or(Ok(()), durable::make_dir)?;
        let mut found = None;
        let written = durable::write_with(&self.root, &path, |file| {
            let mut hasher = blake3::Hasher::new();
            let mut buffer = vec![0; 64 << 10];
            loop {
                let read = content.read(&mut buffer)?;
                if read == 0 {
                    break;
                }
                hasher.update(&buffer[..read]);
                file.write_all(&buffer[..read])?;
            }
            found = Some(Digest::from_bytes(*hasher.finalize().as_bytes()));
            if found == Some(*digest) { Ok(()) } else { Err(ErrorKind::InvalidData.into()) }
        });
        // The whole content was read, and its digest differs.
        if found.is_some_and(|found| found != *digest) { Ok(false) } else { written.map(|()| true) }
    }

    /// Moves a damaged object to `aside/`, with a warning.
    pub(crate) fn set_aside(&self, digest: &Digest, warnings: &Warnings) -> Result<(), StoreError> {
        let path = self.path(digest);
        let place = durable::set_aside(&self.root, &path, &digest.to_string())?;
        warnings.push(format!("{}: damaged; set aside as {}", path.display(), place.display()));
        Ok(())
    }

    /// Lists all objects with their lengths in bytes, sorted by digest.
    pub(crate) fn list(&self) -> Result<Vec<(Digest, u64)>, StoreError> {
        let mut objects = Vec::new();
        for dir in names(&self.root.join("objects"))? {
            for name in names(&self.root.join("objects").join(&dir))? {
                let Ok(digest) = format!("{dir}{name}").parse::<Digest>() else { continue };
                let meta = fs::metadata(self.path(&digest));
                objects.push((digest, meta.map_or(0, |meta| meta.len())));
            }
        }
        objects.sort_unstable();
        Ok(objects)
    }
}

/// Lists the names in a directory, sorted. A directory that does not exist has none.
pub(crate) fn names(dir: &Path) -> Result<Vec<String>, StoreError> {
    let Some(entries) = durable::present(fs::read_dir(dir)).at("read", dir)? else { return Ok(Vec::new()) };
    let mut names = Vec::new();
    for entry in entries {
        names.extend(entry.at("read", dir)?.file_name().into_string());
    }
    names.sort_unstable();
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn objects() -> (tempfile::TempDir, Objects) {
        let dir = tempfile::tempdir().unwrap();
        for name in ["tmp", "objects"] {
            fs::create_dir(dir.path().join(name)).unwrap();
        }
        let objects = Objects::new(dir.path());
        (dir, objects)
    }

    #[test]
    fn a_damaged_object_is_written_again_and_not_trusted() {
        let (dir, objects) = objects();
        let warnings = Warnings::default();
        let digest = objects.put(b"content", &warnings).unwrap();
        assert_eq!(objects.put(b"content", &warnings).unwrap(), digest);
        assert!(warnings.drain().is_empty());
        for bad in [&b"cOntent"[..], b"", b"conten"] {
            fs::write(objects.path(&digest), bad).unwrap();
            assert!(matches!(objects.read_object(&digest), Ok(ObjectState::Bad)));
            objects.put(b"content", &warnings).unwrap();
            assert_eq!(warnings.drain().len(), 1);
            assert!(
                matches!(objects.read_object(&digest), Ok(ObjectState::Good(bytes)) if bytes == b"content")
            );
        }
        assert_eq!(names(&dir.path().join("aside")).unwrap().len(), 3);
        assert_eq!(objects.list().unwrap(), [(digest, 7)]);
    }

    #[test]
    fn a_directory_in_the_place_of_an_object_is_damage() {
        let (_dir, objects) = objects();
        let digest = Digest::hash(b"content");
        fs::create_dir_all(objects.path(&digest)).unwrap();
        assert!(!objects.has(&digest) && !objects.is_good(&digest).unwrap());
        assert!(matches!(objects.read_object(&digest), Ok(ObjectState::Bad)));
        objects.put(b"content", &Warnings::default()).unwrap();
        assert!(objects.has(&digest) && objects.is_good(&digest).unwrap());
    }
}
