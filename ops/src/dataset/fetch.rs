//! Downloads the published datasets into the data directory, and lists the datasets present.
//! Leaves existing files alone; knows nothing of the reading of images except the check that a file is valid.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::download::{self, RemoteFile, written};
use super::error::FileError;
use super::open::DatasetFile;
use super::published::{CIFAR10, FASHION_MNIST, MNIST, Published};
use super::source::DatasetSource;
use super::{cifar, mnist10k, read};

/// An event of a fetch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FetchProgress {
    /// The published file is already present.
    Present {
        /// The file.
        file: PathBuf,
    },
    /// A valid file other than the published one is present and is left alone.
    LeftAlone {
        /// The file.
        file: PathBuf,
    },
    /// A download began.
    Started {
        /// The destination of the file.
        file: PathBuf,
        /// The address of the file.
        url: String,
    },
    /// More bytes of a file arrived.
    Received {
        /// The destination of the file.
        file: PathBuf,
        /// The bytes received so far.
        received: u64,
        /// The total bytes of the file.
        bytes: u64,
    },
    /// An address failed; the next one is tried.
    Failed {
        /// The address.
        url: String,
        /// The reason, as a sentence.
        reason: String,
    },
    /// A file is complete, has the right checksum and is in its place.
    Done {
        /// The file.
        file: PathBuf,
    },
}

/// An error in fetching a dataset.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// The dataset does not exist.
    #[error(
        "{name}: no dataset of this name; there are mnist, fashion-mnist and cifar10 (mnist-10k is built in)"
    )]
    Unknown {
        /// The requested name.
        name: String,
    },
    /// Another file occupies the destination.
    #[error("{}: is there, but is not the published file and cannot be used: {reason}; move it away and fetch again", file.display())]
    Occupied {
        /// The file.
        file: PathBuf,
        /// The reason why the file cannot be used.
        #[source]
        reason: Box<FileError>,
    },
    /// The server does not answer.
    #[error("{url}: {source}; check the network, or name another server with --mirror")]
    Connection {
        /// The address.
        url: String,
        /// The client's error.
        #[source]
        source: Box<ureq::Error>,
    },
    /// The server refused the request.
    #[error("{url}: the server answered {status}; name another server with --mirror")]
    Status {
        /// The address.
        url: String,
        /// The HTTP status.
        status: u16,
    },
    /// The server has a file of another length.
    #[error(
        "{url}: {found} bytes or more, the published file has {expected}; name another server with --mirror"
    )]
    Length {
        /// The address.
        url: String,
        /// The published length.
        expected: u64,
        /// The length found.
        found: u64,
    },
    /// The connection broke; the received bytes are kept.
    #[error(
        "{url}: the connection broke after {received} of {bytes} bytes: {source}; fetch again to go on from there"
    )]
    Interrupted {
        /// The address.
        url: String,
        /// The bytes received.
        received: u64,
        /// The bytes expected.
        bytes: u64,
        /// The client's error.
        #[source]
        source: io::Error,
    },
    /// Checksum mismatch: the downloaded file is not the published one; it was removed.
    #[error(
        "{url}: SHA-256 is {found}, the published file has {expected}; the download was removed; name another server with --mirror"
    )]
    Checksum {
        /// The address.
        url: String,
        /// The published checksum.
        expected: String,
        /// The checksum found.
        found: String,
    },
    /// A file on this machine cannot be read or written.
    #[error("{}: {source}; check that there is room and that you may write there", file.display())]
    Disk {
        /// The file.
        file: PathBuf,
        /// The system's error.
        #[source]
        source: io::Error,
    },
}

/// A dataset and its files in the data directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DatasetListing {
    /// The dataset's name on the command line.
    pub name: &'static str,
    /// Whether all files of the dataset are present; their content is not checked.
    pub present: bool,
    /// The files present; empty for a built-in dataset.
    pub files: Vec<PathBuf>,
    /// Bytes on this machine, or to download.
    pub bytes: u64,
    /// The licence and its holders.
    pub licence: &'static str,
}

/// Lists the datasets and whether they are in the data directory.
#[must_use]
pub fn list(data_dir: &Path) -> Vec<DatasetListing> {
    let sources =
        [DatasetSource::Mnist10k, DatasetSource::Mnist, DatasetSource::FashionMnist, DatasetSource::Cifar10];
    sources.iter().map(|source| listing(source, data_dir)).collect()
}

fn listing(source: &DatasetSource, data_dir: &Path) -> DatasetListing {
    let found = source.files(data_dir, data_dir);
    let present = found.is_ok();
    let files: Vec<PathBuf> = found.unwrap_or_default().into_iter().map(|(_, path)| path).collect();
    let bytes = match source.published() {
        None => mnist10k::BYTES,
        Some(published) if !present => published.files.iter().map(|file| file.bytes).sum(),
        Some(_) => files.iter().filter_map(|file| fs::metadata(file).ok()).map(|data| data.len()).sum(),
    };
    DatasetListing { name: source.name(), present, files, bytes, licence: source.licence() }
}

/// Downloads the files of a dataset into `data_dir/<name>/`. With a `mirror`, files come only from
/// `<mirror>/<file name>`. Valid files that are present are left alone.
pub fn fetch(
    name: &str,
    data_dir: &Path,
    mirror: Option<&str>,
    progress: &mut dyn FnMut(FetchProgress),
) -> Result<(), FetchError> {
    let all = [MNIST, FASHION_MNIST, CIFAR10];
    match all.iter().find(|published| published.name == name) {
        Some(published) => {
            fetch_files(published, &|part, file| usable(published, part, file), data_dir, mirror, progress)
        }
        None if name == DatasetSource::Mnist10k.name() => Ok(()),
        None => Err(FetchError::Unknown { name: name.to_owned() }),
    }
}

/// Checks whether a file other than the published one can still be loaded in its place.
fn usable(published: &Published, part: usize, file: &Path) -> Result<(), FileError> {
    match published {
        p if p == &CIFAR10 => cifar::archive(DatasetFile::file(file)?).map(drop),
        p => read::published(p, part, file).map(drop),
    }
}

type Check<'a> = &'a dyn Fn(usize, &Path) -> Result<(), FileError>;

fn fetch_files(
    published: &Published,
    usable: Check,
    data_dir: &Path,
    mirror: Option<&str>,
    progress: &mut dyn FnMut(FetchProgress),
) -> Result<(), FetchError> {
    let folder = data_dir.join(published.name);
    fs::create_dir_all(&folder).map_err(written(&folder))?;
    let addresses = mirror.map_or(published.addresses.to_vec(), |mirror| vec![mirror]);
    for (part, file) in published.files.iter().enumerate() {
        let target = folder.join(file.name);
        let wanted = RemoteFile { target: &target, bytes: file.bytes, sha256: file.sha256 };
        if target.try_exists().map_err(written(&target))? {
            progress(present(&wanted, &|file| usable(part, file))?);
        } else {
            get(&addresses, file.name, &wanted, progress)?;
        }
    }
    Ok(())
}

/// Reports the file in a destination: the published file, or a valid substitute.
fn present(
    wanted: &RemoteFile,
    usable: &dyn Fn(&Path) -> Result<(), FileError>,
) -> Result<FetchProgress, FetchError> {
    let file = wanted.target.to_owned();
    let length = fs::metadata(&file).map_err(written(&file))?.len();
    if length == wanted.bytes && download::sha256(&file).map_err(written(&file))? == wanted.sha256 {
        return Ok(FetchProgress::Present { file });
    }
    match usable(&file) {
        Ok(()) => Ok(FetchProgress::LeftAlone { file }),
        Err(reason) => Err(FetchError::Occupied { file, reason: Box::new(reason) }),
    }
}

/// Tries the addresses in turn. A disk error ends the loop, because it is the same for every address.
fn get(
    addresses: &[&str],
    name: &str,
    wanted: &RemoteFile,
    progress: &mut dyn FnMut(FetchProgress),
) -> Result<(), FetchError> {
    let file = wanted.target.to_owned();
    for (index, address) in addresses.iter().enumerate() {
        let url = format!("{}/{name}", address.trim_end_matches('/'));
        progress(FetchProgress::Started { file: file.clone(), url: url.clone() });
        let bytes = wanted.bytes;
        let mut received =
            |received| progress(FetchProgress::Received { file: file.clone(), received, bytes });
        match download::download(&download::agent(is_local(&url)), &url, wanted, &mut received) {
            Ok(()) => break,
            Err(error) if index + 1 == addresses.len() || matches!(error, FetchError::Disk { .. }) => {
                return Err(error);
            }
            Err(error) => progress(FetchProgress::Failed { url, reason: error.to_string() }),
        }
    }
    progress(FetchProgress::Done { file });
    Ok(())
}

fn is_local(url: &str) -> bool {
    let host = url.split_once("://").map_or(url, |(_, rest)| rest);
    ["127.", "localhost", "[::1]"].iter().any(|local| host.starts_with(local))
}

#[cfg(test)]
mod tests;
