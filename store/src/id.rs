//! The two ids: the key of a computation and the digest of a content.
//!
//! Knows nothing of the computations, nor of the place of a content.

use std::{
    borrow::Cow,
    collections::HashMap,
    fmt,
    hash::{BuildHasherDefault, Hasher},
    io,
    str::FromStr,
    sync::LazyLock,
};

use blake3::hazmat::{ContextKey, HasherExt as _, hash_derive_key_context};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// Maps keys to values without hashing the keys again: a key is a hash already.
pub type KeyMap<V> = IdMap<Key, V>;

/// Maps ids, or types that contain an id, to values, with [`IdHasher`].
pub(crate) type IdMap<K, V> = HashMap<K, V, BuildHasherDefault<IdHasher>>;

/// Takes the first eight bytes of an id as its hash. Further bytes, such as an enum's discriminant, are mixed in.
#[derive(Clone, Copy, Debug, Default)]
pub struct IdHasher(u64);

impl Hasher for IdHasher {
    fn write(&mut self, bytes: &[u8]) {
        let mut first = [0; 8];
        let count = bytes.len().min(8);
        first[..count].copy_from_slice(&bytes[..count]);
        self.0 = self.0.rotate_left(5) ^ u64::from_le_bytes(first);
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

const KEY_CONTEXT: &str = "fewbits task key v1";
/// The hash of the context, which every key starts from; computed once.
static CONTEXT_KEY: LazyLock<ContextKey> = LazyLock::new(|| hash_derive_key_context(KEY_CONTEXT));

/// The text is not an id of 64 hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not an id: 64 hexadecimal digits are expected")]
pub struct IdError;

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name([u8; 32]);

        impl $name {
            /// Makes an id of its 32 bytes.
            #[must_use]
            pub const fn from_bytes(bytes: [u8; 32]) -> Self {
                Self(bytes)
            }

            /// Returns the 32 bytes of the id.
            #[must_use]
            pub const fn as_bytes(&self) -> &[u8; 32] {
                &self.0
            }

            /// Returns the first 12 hexadecimal digits, for messages.
            #[must_use]
            pub fn short(&self) -> String {
                hex::encode(&self.0[..6])
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                // Without an allocation: a run may write a hundred thousand keys.
                let mut text = [0; 64];
                hex::encode_to_slice(self.0, &mut text).map_err(|_| fmt::Error)?;
                f.write_str(str::from_utf8(&text).map_err(|_| fmt::Error)?)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl FromStr for $name {
            type Err = IdError;

            fn from_str(text: &str) -> Result<Self, IdError> {
                let mut bytes = [0; 32];
                hex::decode_to_slice(text, &mut bytes).map_err(|_| IdError)?;
                Ok(Self(bytes))
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&hex::encode(self.0))
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                Cow::<str>::deserialize(deserializer)?.parse().map_err(de::Error::custom)
            }
        }
    };
}

id! {
    /// Identifies a computation: the blake3 hash of its preimage, in a key derivation context of its own.
    Key
}

id! {
    /// Identifies a content: the blake3 hash of its bytes.
    Digest
}

impl Key {
    /// Derives the key of a computation from its preimage, which is canonical JSON.
    #[must_use]
    pub fn derive(preimage: &str) -> Self {
        let mut hasher = blake3::Hasher::new_from_context_key(&CONTEXT_KEY);
        hasher.update(preimage.as_bytes());
        Self(*hasher.finalize().as_bytes())
    }
}

impl Digest {
    /// Computes the digest of bytes in memory.
    #[must_use]
    pub fn hash(bytes: &[u8]) -> Self {
        Self(*blake3::hash(bytes).as_bytes())
    }

    /// Computes the digest of all remaining bytes of `reader`, without holding them in memory.
    pub fn of_reader(reader: impl io::Read) -> io::Result<Self> {
        let mut hasher = blake3::Hasher::new();
        hasher.update_reader(reader)?;
        Ok(Self(*hasher.finalize().as_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_of_a_preimage_never_changes() {
        // Reference: Python package blake3 1.0, blake3(…, derive_key_context="fewbits task key v1").
        let key = Key::derive(r#"{"inputs":{},"op":"dataset","params":{"source":"Mnist10k"},"version":1}"#);
        assert_eq!(key.to_string(), "6d246e9e6a76a1cd2428f58e1bb065a2bbcf7c62fbf089d8da0df2810ec58f43");
    }

    #[test]
    fn a_digest_is_plain_blake3() {
        // Reference: the first of the official blake3 test vectors.
        let empty = "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262";
        assert_eq!(Digest::hash(b"").to_string(), empty);
        assert_eq!(Digest::of_reader(io::empty()).unwrap().to_string(), empty);
    }

    #[test]
    fn an_id_survives_its_text() {
        let key = Key::derive("{}");
        assert_eq!(key.to_string().parse(), Ok(key));
        assert_eq!(serde_json::from_str::<Key>(&serde_json::to_string(&key).unwrap()).unwrap(), key);
        assert!(key.to_string().starts_with(&key.short()) && key.short().len() == 12);
        for bad in ["", "af", &"g".repeat(64), &"a".repeat(63), &"a".repeat(66)] {
            assert_eq!(bad.parse::<Key>(), Err(IdError), "{bad}");
        }
    }
}
