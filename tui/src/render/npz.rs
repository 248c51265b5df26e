//! `NumPy` archives of tensors: a zip of arrays, with a JSON description.
//! Knows nothing of tasks and stores.

use std::io::{Seek, Write};

use anyhow::Result;
use fewbits_ops::quantize::{Codes, Encoded};
use npyz::{AutoSerialize, WriterBuilder};
use serde_json::Value as Json;
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

/// The entry that holds the description.
const META: &str = "meta.json";

/// Writes each tensor as the array `TENSOR/weight`, and, if it has them, `TENSOR/codes`, `/scales`, `/zero_points` and
/// `/codebook`. The same tensors always give the same bytes.
pub fn write(tensors: &[Encoded], meta: &Json, to: impl Write + Seek) -> Result<()> {
    let mut archive = Archive { zip: ZipWriter::new(to) };
    archive.member(META, &serde_json::to_vec_pretty(meta)?)?;
    for Encoded { name, shape, weights, codes } in tensors {
        archive.array(&format!("{name}/weight"), shape, weights)?;
        if let Some(codes) = codes {
            archive.codes(name, shape, codes)?;
        }
    }
    archive.zip.finish()?.flush()?;
    Ok(())
}

struct Archive<W: Write + Seek> {
    zip: ZipWriter<W>,
}

impl<W: Write + Seek> Archive<W> {
    fn codes(&mut self, tensor: &str, shape: &[usize], codes: &Codes) -> Result<()> {
        let groups = codes.groups.shape();
        self.unsigned(&format!("{tensor}/codes"), shape, &codes.codes, codes.bits)?;
        if !codes.scales.is_empty() {
            self.array(&format!("{tensor}/scales"), &groups, &codes.scales)?;
        }
        if !codes.zero_points.is_empty() {
            self.unsigned(&format!("{tensor}/zero_points"), &groups, &codes.zero_points, codes.bits)?;
        }
        if !codes.codebook.is_empty() {
            self.array(&format!("{tensor}/codebook"), &[codes.codebook.len()], &codes.codebook)?;
        }
        Ok(())
    }

    /// Adds an array of whole numbers of `bits` bits, in the smallest type that holds them.
    fn unsigned(&mut self, name: &str, shape: &[usize], values: &[u32], bits: u32) -> Result<()> {
        match bits {
            0..=8 => self.array(name, shape, &values.iter().map(|value| *value as u8).collect::<Vec<_>>()),
            9..=16 => self.array(name, shape, &values.iter().map(|value| *value as u16).collect::<Vec<_>>()),
            _ => self.array(name, shape, values),
        }
    }

    fn array<T: AutoSerialize>(&mut self, name: &str, shape: &[usize], values: &[T]) -> Result<()> {
        let shape: Vec<u64> = shape.iter().map(|length| *length as u64).collect();
        let mut bytes = vec![];
        let options = npyz::WriteOptions::new().default_dtype().shape(&shape);
        let mut writer = options.writer(&mut bytes).begin_nd()?;
        writer.extend(values)?;
        writer.finish()?;
        self.member(&format!("{name}.npy"), &bytes)
    }

    /// Adds an uncompressed entry without a time.
    fn member(&mut self, name: &str, bytes: &[u8]) -> Result<()> {
        let is_large = u32::try_from(bytes.len()).is_err();
        self.zip.start_file(name, SimpleFileOptions::default().large_file(is_large))?;
        Ok(self.zip.write_all(bytes)?)
    }
}
