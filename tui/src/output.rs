//! Output files: each is whole or absent, and never replaces an input of its command. `-` is standard output.
//! Knows nothing of their content.

use std::fs::{self, File};
use std::io::{BufWriter, Cursor, Seek, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::exit::Coded;
use crate::inputs::Inputs;

/// A writer of an output, which can go back.
pub trait SeekableWriter: Write + Seek {}

impl<W: Write + Seek> SeekableWriter for W {}

/// Returns whether a path stands for standard output.
#[must_use]
pub fn is_standard(path: &Path) -> bool {
    path == Path::new("-")
}

/// Writes an output to a file as [`write_file`] does, or to standard output if the path is `-`. Returns the length of the
/// file in bytes; `None` for standard output, to which nothing else must be written.
pub fn write(
    path: &Path,
    inputs: &Inputs,
    fill: impl FnOnce(&mut dyn SeekableWriter) -> Result<()>,
) -> Result<Option<u64>> {
    if is_standard(path) {
        let mut content = Cursor::new(vec![]);
        fill(&mut content)?;
        return print_bytes(content.get_ref()).map(|()| None);
    }
    write_file(path, inputs, fill).map(Some)
}

/// Writes results to standard output. A reader that has closed it is no error.
pub fn print_bytes(bytes: &[u8]) -> Result<()> {
    let mut out = std::io::stdout().lock();
    match out.write_all(bytes).and_then(|()| out.flush()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(error.into()),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Writes a file under a temporary name beside it and renames it. Returns its length in bytes. An existing file stays
/// until the rename, also if `fill` fails. An output that is one of `inputs` is an error.
fn write_file(
    path: &Path,
    inputs: &Inputs,
    fill: impl FnOnce(&mut dyn SeekableWriter) -> Result<()>,
) -> Result<u64> {
    inputs.refuse(path)?;
    // If the path is a symbolic link, its target is replaced and the link stays.
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

/// Checks that an output folder is empty or not there.
pub fn check_folder(path: &Path) -> Result<()> {
    let place = path.display();
    let told =
        |what: &str| Err(Coded::usage(format!("{place}: {what}; name a new or empty folder with -o DIR")));
    match fs::read_dir(path).map(|mut entries| entries.next().is_some()) {
        Ok(true) => told("this folder is not empty"),
        Err(_) if path.symlink_metadata().is_ok() => told("this is not a folder that can be read"),
        Ok(false) | Err(_) => Ok(()),
    }
}

/// Writes files under temporary names and renames them. The folder must be empty or not there.
pub fn write_folder(path: &Path, inputs: &Inputs, files: &[(String, String)]) -> Result<()> {
    check_folder(path)?;
    inputs.refuse(path)?;
    let place = path.display();
    // Components have no `/` at the end.
    let path: &PathBuf = &path.components().collect();
    let suffix = format!(".{}.unfinished", std::process::id());
    // An empty folder stays, as it can be the working folder or a mount.
    let unfinished = if path.is_dir() {
        path.join(suffix)
    } else {
        let mut beside = path.as_os_str().to_owned();
        beside.push(suffix);
        PathBuf::from(beside)
    };
    fs::create_dir(&unfinished).map_err(|error| {
        let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty() && !parent.exists());
        if let Some(parent) = parent {
            return Coded::usage(format!(
                "{place}: the folder {} is not there; make it, or name another with -o DIR",
                parent.display()
            ));
        }
        Coded::usage(format!("{place}: no folder can be made here ({error}); name another with -o DIR"))
    })?;
    let written = files.iter().try_for_each(|(name, text)| {
        let mut file = File::create(unfinished.join(name))?;
        file.write_all(text.as_bytes())?;
        file.sync_all()
    });
    let written = written.and_then(|()| {
        if !path.is_dir() {
            return fs::rename(&unfinished, path);
        }
        let moved = files.iter().try_for_each(|(name, _)| fs::rename(unfinished.join(name), path.join(name)));
        if moved.is_err() {
            for (name, _) in files {
                let _ = fs::remove_file(path.join(name));
            }
        }
        moved.and_then(|()| fs::remove_dir(&unfinished))
    });
    if written.is_err() {
        let _ = fs::remove_dir_all(&unfinished);
    }
    written.with_context(|| format!("{place}: it cannot be written"))
}

fn filled(file: File, fill: impl FnOnce(&mut dyn SeekableWriter) -> Result<()>) -> Result<u64> {
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
        let whole =
            |text: &'static str| move |to: &mut dyn SeekableWriter| Ok(to.write_all(text.as_bytes())?);
        let none = Inputs::default();
        assert_eq!(write_file(&path, &none, whole("first")).unwrap(), 5);
        let told = write_file(&path, &none, |to| {
            to.write_all(b"half")?;
            anyhow::bail!("the disk is full")
        });
        assert_eq!(
            format!("{:#}", told.unwrap_err()),
            format!("{}: it cannot be written: the disk is full", path.display())
        );
        assert_eq!(fs::read(&path).unwrap(), b"first");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "nothing is left beside it");
        write_file(&path, &none, whole("second")).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"second");
    }

    #[test]
    fn a_folder_is_whole_or_not_there() {
        let dir = tempfile::tempdir().unwrap();
        let none = Inputs::default();
        let files =
            |name: &str| vec![("a.c".to_owned(), "int a;".to_owned()), (name.to_owned(), String::new())];
        fs::create_dir(dir.path().join("empty")).unwrap();
        for name in ["new", "empty"] {
            let path = dir.path().join(name);
            write_folder(&path, &none, &files("b.c")).unwrap();
            assert_eq!(fs::read(path.join("a.c")).unwrap(), b"int a;");
            let told = write_folder(&path, &none, &files("b.c")).unwrap_err().to_string();
            assert!(told.contains("this folder is not empty"), "{told}");
        }
        let path = dir.path().join("half");
        write_folder(&path, &none, &files("no/such/b.c")).unwrap_err();
        assert!(!path.exists());
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 2, "nothing is left beside it");
        let told = write_folder(&path.join("in/it"), &none, &files("b.c")).unwrap_err().to_string();
        assert!(told.contains("half/in is not there; make it"), "{told}");
        fs::write(&path, "a file").unwrap();
        let told = write_folder(&path, &none, &files("b.c")).unwrap_err().to_string();
        assert!(told.contains("not a folder"), "{told}");
    }

    #[test]
    fn what_is_no_file_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let refused = |path: &Path| write_file(path, &Inputs::default(), |_| Ok(())).unwrap_err().to_string();
        assert!(refused(dir.path()).ends_with("this is not a file; name one with -o FILE"));
        assert!(refused(Path::new("/dev/null")).starts_with("/dev/null: this is not a file"));
        let told = refused(&dir.path().join("no/such/folder.csv"));
        assert!(told.contains("no file can be made here"), "{told}");
    }

    #[test]
    fn an_input_is_refused_under_every_name() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        fs::write(at("x.ron"), "the experiment").unwrap();
        fs::hard_link(at("x.ron"), at("hard.csv")).unwrap();
        std::os::unix::fs::symlink(at("x.ron"), at("soft.csv")).unwrap();
        fs::create_dir_all(at("store/journal")).unwrap();
        std::os::unix::fs::symlink(at("store"), at("way")).unwrap();
        let inputs = Inputs { files: vec![at("gone.ron"), at("x.ron")], store: Some(at("store")) };
        let written = |name: &str| write_file(&at(name), &inputs, |to| Ok(to.write_all(b"new")?));
        for name in ["x.ron", "hard.csv", "soft.csv"] {
            let told = written(name).unwrap_err().to_string();
            assert!(told.contains("this would replace") && told.contains("x.ron, which"), "{told}");
        }
        for name in ["store/x.csv", "store/journal/1.fbj", "way/x.csv"] {
            let told = written(name).unwrap_err().to_string();
            assert!(told.contains("the store's own folder"), "{told}");
        }
        assert_eq!(fs::read(at("x.ron")).unwrap(), b"the experiment");
        assert_eq!(written("y.csv").unwrap(), 3);
    }
}
