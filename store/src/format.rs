//! The file `STORE`, which makes a directory a store: it holds the format number and the store's id.
//!
//! Knows nothing of the differences between formats, only which ones this program reads.

use std::{path::Path, time::SystemTime};

use rustix::rand::{GetRandomFlags, getrandom};

use crate::{StoreError, durable};

/// The newest format that this program reads, and the format of new journals. A journal of an older format keeps its
/// format until it is rewritten; old formats remain readable.
pub(crate) const FORMAT: u32 = 2;

const TITLE: &str = "fewbits store";

/// Describes the state of the file `STORE`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StoreVersion {
    /// The file is absent.
    Absent,
    /// The content does not match its checksum.
    Damaged,
    /// The content is valid.
    Store {
        /// The format number, which this program reads.
        format: u32,
        /// The id of the store.
        id: [u8; 16],
    },
}

/// Reads the file. A format above [`FORMAT`] is an error.
pub(crate) fn read_version(root: &Path) -> Result<StoreVersion, StoreError> {
    let Some(bytes) = durable::read_if_present(&root.join("STORE"))? else { return Ok(StoreVersion::Absent) };
    let Some((format, id)) = std::str::from_utf8(&bytes).ok().and_then(parse) else {
        return Ok(StoreVersion::Damaged);
    };
    refuse_newer(root, format)?;
    Ok(StoreVersion::Store { format, id })
}

/// Returns an error for a format number above [`FORMAT`].
pub(crate) fn refuse_newer(root: &Path, found: u32) -> Result<(), StoreError> {
    if found > FORMAT {
        return Err(StoreError::Newer { path: root.to_owned(), found, supported: FORMAT });
    }
    Ok(())
}

/// Replaces the file `STORE`.
pub(crate) fn write(root: &Path, format: u32, id: [u8; 16]) -> Result<(), StoreError> {
    durable::write(root, &root.join("STORE"), text(format, id).as_bytes())
}

/// Makes a new random id.
pub(crate) fn new_id() -> [u8; 16] {
    let mut random = [0u8; 16];
    let filled = getrandom(&mut random, GetRandomFlags::empty()).unwrap_or(0);
    // If the system has no random numbers, the time and the process id still make the id unique in practice.
    let text = format!("{random:?} {filled} {:?} {}", SystemTime::now(), std::process::id());
    crate::entry::array(blake3::hash(text.as_bytes()).as_bytes())
}

fn text(format: u32, id: [u8; 16]) -> String {
    let text = format!("{TITLE}\nformat {format}\nid {}\n", hex::encode(id));
    format!("{text}check {}\n", check(&text))
}

/// Parses the text of the file. Ignores unknown lines between the title and the checksum, which a newer program may
/// write.
fn parse(text: &str) -> Option<(u32, [u8; 16])> {
    let (body, found) = text.strip_suffix('\n')?.rsplit_once("\ncheck ")?;
    let body = format!("{body}\n");
    if !body.starts_with(TITLE) || check(&body) != found {
        return None;
    }
    let field = |name: &str| body.lines().find_map(|line| line.strip_prefix(name));
    let mut id = [0; 16];
    hex::decode_to_slice(field("id ")?, &mut id).ok()?;
    Some((field("format ")?.parse().ok()?, id))
}

fn check(text: &str) -> String {
    blake3::hash(text.as_bytes()).to_hex()[..16].to_owned()
}

/// Returns the content of a `STORE` file of any format, for tests.
#[cfg(test)]
pub(crate) fn text_of(format: u32) -> String {
    text(format, [1; 16])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_flip_of_the_file_is_damage_and_not_another_format() {
        let whole = text(FORMAT, [7; 16]);
        assert_eq!(parse(&whole), Some((FORMAT, [7; 16])));
        for at in 0..whole.len() {
            let mut bytes = whole.clone().into_bytes();
            bytes[at] ^= 1;
            assert_eq!(std::str::from_utf8(&bytes).ok().and_then(parse), None, "flip at {at}");
            assert_eq!(parse(&whole[..at]), None, "cut at {at}");
        }
    }

    #[test]
    fn ids_differ() {
        assert_ne!(new_id(), new_id());
    }
}
