//! Fetching from a small HTTP server on this machine.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use sha2::{Digest, Sha256};

use super::super::published::PublishedFile;
use super::*;

/// The server's treatment of a file.
#[derive(Clone, Copy)]
enum Manner {
    /// Supports ranges.
    Ranges,
    /// Sends whole files only.
    Whole,
    /// Breaks off after this many bytes of the answer.
    Breaks(usize),
    /// Answers with this status and nothing else.
    Status(u16),
}

/// A server of one file's content under any name, with the paths and ranges of its requests.
struct Server {
    url: String,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Server {
    fn start(content: Vec<u8>, manner: Manner) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let asked = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&asked);
        thread::spawn(move || {
            for stream in listener.incoming() {
                let stream = stream.unwrap();
                let (path, from) = request(&stream);
                log.lock().unwrap().push(from.map_or(path.clone(), |from| format!("{path} from {from}")));
                // A client that disconnects early is not an error of the server.
                let _ = answer(&stream, &content, manner, from);
            }
        });
        Self { url, asked }
    }

    fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

/// Reads a request: its path, and where its range begins.
fn request(stream: &TcpStream) -> (String, Option<usize>) {
    let mut lines = BufReader::new(stream).lines().map_while(Result::ok);
    let path = lines.next().unwrap_or_default().split(' ').nth(1).unwrap_or_default().to_owned();
    let headers: Vec<String> = lines.take_while(|line| !line.is_empty()).map(|l| l.to_lowercase()).collect();
    let range = headers.iter().find_map(|line| line.strip_prefix("range: bytes="));
    (path, range.map(|range| range.trim_end_matches('-').parse().unwrap()))
}

fn answer(mut stream: &TcpStream, content: &[u8], manner: Manner, from: Option<usize>) -> io::Result<()> {
    let from = from.filter(|_| !matches!(manner, Manner::Whole));
    let (status, body) = match (manner, from) {
        (Manner::Status(status), _) => (status.to_string(), &b""[..]),
        (_, Some(from)) if from >= content.len() => ("416".to_owned(), &b""[..]),
        (_, Some(from)) => ("206".to_owned(), &content[from..]),
        (_, None) => ("200".to_owned(), content),
    };
    let all = content.len();
    write!(stream, "HTTP/1.1 {status} X\r\nConnection: close\r\nContent-Length: {}\r\n", body.len())?;
    if let ("206", Some(from)) = (&status[..], from) {
        write!(stream, "Content-Range: bytes {from}-{}/{all}\r\n", all - 1)?;
    }
    let sent = if let Manner::Breaks(after) = manner { after.min(body.len()) } else { body.len() };
    write!(stream, "\r\n")?;
    stream.write_all(&body[..sent])
}

fn content() -> Vec<u8> {
    (0..300_000_u32).flat_map(|n| n.wrapping_mul(2_654_435_761).to_be_bytes()).collect()
}

/// A dataset of one file with this content.
fn dataset(content: &[u8], addresses: &[&str]) -> Published {
    let leak = |text: &str| -> &'static str { Box::leak(text.to_owned().into_boxed_str()) };
    let addresses: Vec<&'static str> = addresses.iter().map(|address| leak(address)).collect();
    let sha256 = leak(&hex::encode(Sha256::digest(content)));
    let file = PublishedFile { name: "a.gz", bytes: content.len() as u64, sha256 };
    Published {
        name: "set",
        title: "Set",
        licence: "",
        addresses: addresses.leak(),
        files: vec![file].leak(),
    }
}

struct Fixture {
    folder: tempfile::TempDir,
    events: Vec<FetchProgress>,
}

impl Fixture {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("set")).unwrap();
        Self { folder, events: Vec::new() }
    }

    fn target(&self) -> PathBuf {
        self.folder.path().join("set/a.gz")
    }

    fn part(&self) -> PathBuf {
        self.folder.path().join("set/a.gz.part")
    }

    fn fetch(&mut self, of: &Published, mirror: Option<&str>) -> Result<(), FetchError> {
        let usable = |_: usize, file: &Path| {
            let good = fs::read(file).unwrap().starts_with(b"good");
            if good { Ok(()) } else { Err(FileError::Empty { file: "a.gz".to_owned(), offset: 0 }) }
        };
        let events = &mut self.events;
        let mut progress = |event| match event {
            FetchProgress::Received { .. }
                if matches!(events.last(), Some(FetchProgress::Received { .. })) =>
            {
                *events.last_mut().unwrap() = event;
            }
            event => events.push(event),
        };
        fetch_files(of, &usable, self.folder.path(), mirror, &mut progress)
    }
}

#[test]
fn a_file_is_fetched_once() {
    let (content, mut fixture) = (content(), Fixture::new());
    let server = Server::start(content.clone(), Manner::Ranges);
    let set = dataset(&content, &[]);
    fixture.fetch(&set, Some(&format!("{}/", server.url))).unwrap();
    assert_eq!(fs::read(fixture.target()).unwrap(), content);
    assert!(!fixture.part().exists());
    let (file, url, bytes) = (fixture.target(), format!("{}/a.gz", server.url), content.len() as u64);
    let started = FetchProgress::Started { file: file.clone(), url };
    let received = FetchProgress::Received { file: file.clone(), received: bytes, bytes };
    assert_eq!(fixture.events, [started, received, FetchProgress::Done { file: file.clone() }]);
    fixture.events.clear();
    fixture.fetch(&set, Some(&server.url)).unwrap();
    assert_eq!(fixture.events, [FetchProgress::Present { file }]);
    assert_eq!(server.asked(), ["/a.gz"]);
}

#[test]
fn a_broken_download_is_resumed() {
    let (content, mut fixture) = (content(), Fixture::new());
    let set = dataset(&content, &[]);
    let broken = Server::start(content.clone(), Manner::Breaks(700_000));
    let error = fixture.fetch(&set, Some(&broken.url)).unwrap_err();
    assert!(matches!(error, FetchError::Interrupted { received: 700_000, bytes: 1_200_000, .. }), "{error}");
    assert!(!fixture.target().exists());
    let server = Server::start(content.clone(), Manner::Ranges);
    fixture.fetch(&set, Some(&server.url)).unwrap();
    assert_eq!(fs::read(fixture.target()).unwrap(), content);
    assert_eq!(server.asked(), ["/a.gz from 700000"]);
}

#[test]
fn without_ranges_it_begins_again() {
    let (content, mut fixture) = (content(), Fixture::new());
    fs::write(fixture.part(), &content[..1_000]).unwrap();
    let server = Server::start(content.clone(), Manner::Whole);
    fixture.fetch(&dataset(&content, &[]), Some(&server.url)).unwrap();
    assert_eq!(fs::read(fixture.target()).unwrap(), content);
    assert_eq!(server.asked(), ["/a.gz from 1000"]);
}

#[test]
fn a_whole_part_needs_no_server() {
    let (content, mut fixture) = (content(), Fixture::new());
    fs::write(fixture.part(), &content).unwrap();
    let server = Server::start(content.clone(), Manner::Status(500));
    fixture.fetch(&dataset(&content, &[]), Some(&server.url)).unwrap();
    assert_eq!(fs::read(fixture.target()).unwrap(), content);
    assert!(server.asked().is_empty());
}

#[test]
fn a_part_of_something_else_is_fetched_anew() {
    let (content, mut fixture) = (content(), Fixture::new());
    fs::write(fixture.part(), [0; 5_000]).unwrap();
    let server = Server::start(content.clone(), Manner::Ranges);
    fixture.fetch(&dataset(&content, &[]), Some(&server.url)).unwrap();
    assert_eq!(fs::read(fixture.target()).unwrap(), content);
    assert_eq!(server.asked(), ["/a.gz from 5000", "/a.gz"]);
}

#[test]
fn a_wrong_sum_leaves_nothing_behind() {
    let (mut wrong, mut fixture) = (content(), Fixture::new());
    let set = dataset(&wrong, &[]);
    wrong[600_000] ^= 1;
    let server = Server::start(wrong, Manner::Ranges);
    let error = fixture.fetch(&set, Some(&server.url)).unwrap_err();
    assert!(matches!(error, FetchError::Checksum { .. }), "{error}");
    assert!(!fixture.target().exists() && !fixture.part().exists());
}

#[test]
fn another_length_is_refused_before_it_is_read() {
    let (content, mut fixture) = (content(), Fixture::new());
    let server = Server::start(b"<html>please log in</html>".to_vec(), Manner::Whole);
    let error = fixture.fetch(&dataset(&content, &[]), Some(&server.url)).unwrap_err();
    assert!(matches!(error, FetchError::Length { found: 26, expected: 1_200_000, .. }), "{error}");
    assert!(!fixture.part().exists());
}

#[test]
fn the_next_address_is_tried() {
    let (content, mut fixture) = (content(), Fixture::new());
    let gone = Server::start(content.clone(), Manner::Status(404));
    let server = Server::start(content.clone(), Manner::Ranges);
    fixture.fetch(&dataset(&content, &[&gone.url, &server.url]), None).unwrap();
    assert_eq!(fs::read(fixture.target()).unwrap(), content);
    let url = format!("{}/a.gz", gone.url);
    let reason = format!("{url}: the server answered 404; name another server with --mirror");
    assert_eq!(fixture.events[1], FetchProgress::Failed { url, reason });
}

#[test]
fn the_last_addresss_fault_is_the_error() {
    let (content, mut fixture) = (content(), Fixture::new());
    let gone = Server::start(content.clone(), Manner::Status(404));
    let error = fixture.fetch(&dataset(&content, &[]), Some(&gone.url)).unwrap_err();
    assert!(matches!(error, FetchError::Status { status: 404, .. }), "{error}");
    // A port that was free a moment ago: no server listens on it.
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let error = fixture.fetch(&dataset(&content, &[]), Some(&format!("http://{free}"))).unwrap_err();
    assert!(matches!(error, FetchError::Connection { .. }), "{error}");
}

#[test]
fn what_is_there_is_never_overwritten() {
    let (content, mut fixture) = (content(), Fixture::new());
    let server = Server::start(content.clone(), Manner::Ranges);
    let set = dataset(&content, &[]);
    fs::write(fixture.target(), b"good, in another wrapping").unwrap();
    fixture.fetch(&set, Some(&server.url)).unwrap();
    assert_eq!(fixture.events, [FetchProgress::LeftAlone { file: fixture.target() }]);
    fs::write(fixture.target(), b"broken").unwrap();
    let error = fixture.fetch(&set, Some(&server.url)).unwrap_err();
    assert!(matches!(error, FetchError::Occupied { .. }), "{error}");
    assert_eq!(fs::read(fixture.target()).unwrap(), b"broken");
    assert!(server.asked().is_empty());
}

#[test]
fn a_folder_that_cannot_be_made_is_named() {
    let (content, fixture) = (content(), Fixture::new());
    let file = fixture.folder.path().join("file");
    fs::write(&file, b"").unwrap();
    let error = fetch_files(&dataset(&content, &[]), &|_, _| Ok(()), &file, None, &mut |_| {}).unwrap_err();
    assert!(matches!(&error, FetchError::Disk { file: at, .. } if *at == file.join("set")), "{error}");
}

#[test]
fn names_are_known_or_refused() {
    let folder = tempfile::tempdir().unwrap();
    fetch("mnist-10k", folder.path(), None, &mut |_| {}).unwrap();
    let error = fetch("mnits", folder.path(), None, &mut |_| {}).unwrap_err();
    assert!(error.to_string().starts_with("mnits: no dataset of this name; there are mnist, "), "{error}");
}

#[test]
fn the_list_says_what_is_there() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir_all(folder.path().join("cifar10")).unwrap();
    fs::write(folder.path().join("cifar10/cifar-10-binary.tar"), b"12345").unwrap();
    let list = list(folder.path());
    let rows: Vec<_> = list.iter().map(|row| (row.name, row.present, row.files.len(), row.bytes)).collect();
    let expected = [
        ("mnist-10k", true, 0, 1_614_523),
        ("mnist", false, 0, 11_594_722),
        ("fashion-mnist", false, 0, 30_878_645),
        ("cifar10", true, 1, 5),
    ];
    assert_eq!(rows, expected);
}
