//! The download of one file from one address: resumable, counted, and moved into place only after its checksum matches.
//! Knows nothing of datasets and of the choice of addresses.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use sha2::{Digest, Sha256};
use ureq::http::{Response, StatusCode, header};
use ureq::{Agent, Body};

use super::fetch::FetchError;

/// A file to download.
pub struct RemoteFile<'a> {
    /// The destination.
    pub target: &'a Path,
    /// The file's length in bytes.
    pub bytes: u64,
    /// The file's SHA-256, in lower-case hexadecimal digits.
    pub sha256: &'a str,
}

/// The time that a server may stay silent.
const SILENCE: Duration = Duration::from_mins(1);
const BUFFER: usize = 64 * 1024;

/// Makes the client. Addresses on this machine bypass any proxy.
pub fn agent(local: bool) -> Agent {
    let config = Agent::config_builder()
        .http_status_as_error(false)
        .user_agent(concat!("fewbits/", env!("CARGO_PKG_VERSION")))
        .accept_encoding("identity")
        .timeout_connect(Some(SILENCE))
        .timeout_recv_response(Some(SILENCE))
        .timeout_per_read(Some(SILENCE));
    if local { config.proxy(None).build().into() } else { config.build().into() }
}

/// Downloads a file, resuming from the partial file of an earlier call. `received` is called with the progress.
/// After a broken connection the partial file stays for the next call; after a checksum mismatch it is removed.
pub fn download(
    agent: &Agent,
    url: &str,
    wanted: &RemoteFile,
    received: &mut dyn FnMut(u64),
) -> Result<(), FetchError> {
    let part = part_of(wanted.target);
    let had = fs::metadata(&part).map_or(0, |metadata| metadata.len());
    let had = if had > wanted.bytes { 0 } else { had };
    let mut result = attempt(agent, url, wanted, &part, had, received);
    // The partial file may belong to another file: download once more from the start.
    if had > 0 && matches!(result, Err(FetchError::Checksum { .. })) {
        result = attempt(agent, url, wanted, &part, 0, received);
    }
    result
}

/// Returns the SHA-256 of a file in hexadecimal digits.
pub fn sha256(path: &Path) -> io::Result<String> {
    let mut file = File::open(path)?;
    let (mut hasher, mut buffer) = (Sha256::new(), vec![0; BUFFER]);
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(hex::encode(hasher.finalize())),
            count => hasher.update(&buffer[..count]),
        }
    }
}

fn attempt(
    agent: &Agent,
    url: &str,
    wanted: &RemoteFile,
    part: &Path,
    had: u64,
    received: &mut dyn FnMut(u64),
) -> Result<(), FetchError> {
    if had < wanted.bytes {
        let (response, from) = ask(agent, url, wanted, had)?;
        let file = open(part, from).map_err(written(part))?;
        receive(response, url, wanted, part, file, from, received)?;
    }
    let found = sha256(part).map_err(written(part))?;
    if found != wanted.sha256 {
        fs::remove_file(part).map_err(written(part))?;
        return Err(FetchError::Checksum { url: url.to_owned(), expected: wanted.sha256.to_owned(), found });
    }
    install(part, wanted.target).map_err(written(wanted.target))
}

/// Requests the file from byte `had` on. Returns the response and the offset of its first byte.
fn ask(agent: &Agent, url: &str, wanted: &RemoteFile, had: u64) -> Result<(Response<Body>, u64), FetchError> {
    let mut request = agent.get(url);
    if had > 0 {
        request = request.header(header::RANGE, format!("bytes={had}-"));
    }
    let response = request
        .call()
        .map_err(|error| FetchError::Connection { url: url.to_owned(), source: Box::new(error) })?;
    let (from, total) = match response.status() {
        StatusCode::OK => (0, response.body().content_length()),
        StatusCode::PARTIAL_CONTENT => match content_range(&response) {
            Some((from, total)) if from == had => (from, total),
            _ if had > 0 => return ask(agent, url, wanted, 0),
            _ => return Err(FetchError::Status { url: url.to_owned(), status: 206 }),
        },
        StatusCode::RANGE_NOT_SATISFIABLE if had > 0 => return ask(agent, url, wanted, 0),
        status => return Err(FetchError::Status { url: url.to_owned(), status: status.as_u16() }),
    };
    match total {
        Some(found) if found != wanted.bytes => {
            Err(FetchError::Length { url: url.to_owned(), expected: wanted.bytes, found })
        }
        _ => Ok((response, from)),
    }
}

/// Reads `Content-Range: bytes FROM-TO/TOTAL`; the total can be `*`.
fn content_range(response: &Response<Body>) -> Option<(u64, Option<u64>)> {
    let value = response.headers().get(header::CONTENT_RANGE)?.to_str().ok()?;
    let (range, total) = value.strip_prefix("bytes ")?.split_once('/')?;
    let (from, _) = range.split_once('-')?;
    Some((from.trim().parse().ok()?, total.trim().parse().ok()))
}

fn receive(
    response: Response<Body>,
    url: &str,
    wanted: &RemoteFile,
    part: &Path,
    mut file: File,
    from: u64,
    received: &mut dyn FnMut(u64),
) -> Result<(), FetchError> {
    let mut body = response.into_body().into_reader();
    let (mut buffer, mut have) = (vec![0; BUFFER], from);
    let end = loop {
        match body.read(&mut buffer) {
            Ok(0) => break None,
            Ok(count) => {
                have += count as u64;
                if have > wanted.bytes {
                    drop(file);
                    fs::remove_file(part).map_err(written(part))?;
                    return Err(FetchError::Length {
                        url: url.to_owned(),
                        expected: wanted.bytes,
                        found: have,
                    });
                }
                file.write_all(&buffer[..count]).map_err(written(part))?;
                received(have);
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => break Some(error),
        }
    };
    file.sync_all().map_err(written(part))?;
    if have == wanted.bytes {
        return Ok(());
    }
    let source = end.unwrap_or_else(|| io::ErrorKind::UnexpectedEof.into());
    Err(FetchError::Interrupted { url: url.to_owned(), received: have, bytes: wanted.bytes, source })
}

/// Opens the partial file, cut to `from` bytes, for appending.
fn open(part: &Path, from: u64) -> io::Result<File> {
    let file = OpenOptions::new().create(true).append(true).open(part)?;
    file.set_len(from)?;
    Ok(file)
}

/// Moves the finished file into place, so that the file is either whole or absent.
fn install(part: &Path, target: &Path) -> io::Result<()> {
    fs::rename(part, target)?;
    match target.parent() {
        Some(folder) => File::open(folder)?.sync_all(),
        None => Ok(()),
    }
}

fn part_of(target: &Path) -> PathBuf {
    let mut name = target.as_os_str().to_owned();
    name.push(".part");
    name.into()
}

/// Makes the error of a file on this machine.
pub fn written(file: &Path) -> impl FnOnce(io::Error) -> FetchError {
    let file = file.to_owned();
    move |source| FetchError::Disk { file, source }
}
