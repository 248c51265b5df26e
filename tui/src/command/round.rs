//! `round`: rounds numbers from standard input to a number format, one per line.
//! Uses no store and no experiment.

use std::io::{BufRead, BufWriter, Write};

use anyhow::{Context, Result};
use fewbits_engine::text::fault::Faults;
use fewbits_engine::text::fields::FromValue;
use fewbits_engine::text::value::Value;
use fewbits_ops::format::{Draw, Draws, Format, RandomBits, Rounding};

use crate::cli::{Global, Round};
use crate::exit::{Coded, Exit};
use crate::render::number::exact;
use crate::session::{faulty, format};
use crate::ui::plain::printable;

/// Rounds standard input to standard output.
pub fn round(args: &Round, global: &Global) -> Result<Exit> {
    let (format, codec) = format(&args.format, global)?;
    if let Format::KMeans { .. } = format {
        let why = "its numbers are fitted to each tensor; write those you want as `Values([…])`";
        return Err(Coded::usage(format!("{}: {why}", printable(&args.format))));
    }
    let rounding = rounding(&args.rounding, global)?;
    let bits = RandomBits::new(args.random_bits).map_err(|error| Coded::usage(error.to_string()))?;
    let draws = Draws::new(args.seed, &args.tensor, bits);
    let mut out = BufWriter::new(std::io::stdout().lock());
    for (at, line) in std::io::stdin().lock().lines().enumerate() {
        let line = line.context("standard input")?;
        let wrong = |what: &str| Coded::usage(format!("line {}: {what}, found {:?}", at + 1, line.trim()));
        let mut words = line.split_whitespace();
        let value = words.next().and_then(|word| number(word, args.bits)).ok_or_else(|| {
            wrong(if args.bits { "expected 8 hex digits of a binary32" } else { "expected a number" })
        })?;
        let draw = match words.next() {
            None => draws.draw(at as u64),
            Some(word) => {
                let number = word
                    .parse()
                    .map_err(|_| wrong("expected a random number, whole and of at most 32 bits"))?;
                Draw::new(number, bits).map_err(|error| Coded::usage(format!("line {}: {error}", at + 1)))?
            }
        };
        if words.next().is_some() {
            return Err(wrong("expected a number and at most one random number"));
        }
        let rounded = codec.round(value, rounding, draw);
        let text = if args.bits { format!("{:08x}", (rounded as f32).to_bits()) } else { exact(rounded) };
        match writeln!(out, "{text}") {
            // The reader has closed standard output (`| head`): stop without an error.
            Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => return Ok(Exit::Done),
            written => written.context("standard output")?,
        }
    }
    match out.flush() {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(error).context("standard output"),
        Ok(()) | Err(_) => Ok(Exit::Done),
    }
}

fn number(word: &str, bits: bool) -> Option<f64> {
    if bits {
        let is_hex = word.len() == 8 && word.bytes().all(|byte| byte.is_ascii_hexdigit());
        let word = is_hex.then(|| u32::from_str_radix(word, 16).ok())??;
        return Some(f64::from(f32::from_bits(word)));
    }
    word.parse().ok()
}

/// Reads a rounding mode as experiments write it.
fn rounding(text: &str, global: &Global) -> Result<Rounding> {
    let mut faults = Faults::default();
    let value = Value::parse(text, &mut faults);
    let read = if faults.is_empty() { Rounding::from_value(&value, &mut faults) } else { None };
    read.ok_or_else(|| faulty(&faults.into_sorted(), text, "--rounding", global))
}
