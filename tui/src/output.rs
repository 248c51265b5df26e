//! A file that a command writes: there whole, or not at all.
//! Knows nothing of what is in it.

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::Path;

use anyhow::{Context, Result};

use crate::exit::Coded;

/// Writes a file under a temporary name beside it and renames it; returns its size in bytes. What was there before
/// stays until then, also where `fill` fails.
pub fn write(path: &Path, fill: impl FnOnce(&mut BufWriter<File>) -> Result<()>) -> Result<u64> {
    // A link stays one.
    let path = &path.canonicalize().unwrap_or_else(|_| path.to_path_buf());
    let place = path.display();
    if path.exists() && !path.is_file() {
        return Err(Coded::usage(format!("{place}: this is not a file; name one with -o FILE")));
    }
    let mut unfinished = path.as_os_str().to_owned();
    unfinished.push(format!(".{}.unfinished", std::process::id()));
    let file = File::create(&unfinished).map_err(|error| {
        Coded::usage(format!("{place}: no file can be made here ({error}); name another with -o FILE"))
    })?;
    let written = filled(file, fill).and_then(|size| {
        fs::rename(&unfinished, path)?;
        Ok(size)
    });
    if written.is_err() {
        let _ = fs::remove_file(&unfinished);
    }
    written.with_context(|| format!("{place}: it cannot be written"))
}

fn filled(file: File, fill: impl FnOnce(&mut BufWriter<File>) -> Result<()>) -> Result<u64> {
    let mut writer = BufWriter::new(file);
    fill(&mut writer)?;
    writer.flush()?;
    let file = writer.get_ref();
    file.sync_all()?;
    Ok(file.metadata()?.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_fails_leaves_what_was_there() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.csv");
        let whole = |text: &'static str| move |to: &mut BufWriter<File>| Ok(to.write_all(text.as_bytes())?);
        assert_eq!(write(&path, whole("first")).unwrap(), 5);
        let told = write(&path, |to| {
            to.write_all(b"half")?;
            anyhow::bail!("the disk is full")
        });
        assert_eq!(
            format!("{:#}", told.unwrap_err()),
            format!("{}: it cannot be written: the disk is full", path.display())
        );
        assert_eq!(fs::read(&path).unwrap(), b"first");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "nothing is left beside it");
        write(&path, whole("second")).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"second");
    }

    #[test]
    fn what_is_no_file_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let refused = |path: &Path| write(path, |_| Ok(())).unwrap_err().to_string();
        assert!(refused(dir.path()).ends_with("this is not a file; name one with -o FILE"));
        assert!(refused(Path::new("/dev/null")).starts_with("/dev/null: this is not a file"));
        let told = refused(&dir.path().join("no/such/folder.csv"));
        assert!(told.contains("no file can be made here"), "{told}");
    }
}
