//! `values`: lists every code of a number format with its value, and draws the values on a line.
//! Uses no store and no experiment.

use anyhow::Result;
use fewbits_ops::format::{Codec, Draw, Format, Packing, Rounding};
use fewbits_ops::scale::Scale;

use super::print;
use crate::cli::{Global, Values};
use crate::exit::{Coded, Exit};
use crate::render::number::count;
use crate::render::number::exact;
use crate::session::format;

/// The most bits of a code in a list.
const MOST_BITS: u32 = 16;

/// The width of the number lines, in characters.
const WIDTH: usize = 73;

/// The ratio of the largest to the least positive number from which on a logarithmic line is drawn too.
const WIDE: f64 = 32.0;

/// Shows a format.
pub fn values(args: &Values, global: &Global) -> Result<Exit> {
    let (format, codec) = format(&args.format, global)?;
    if codec.bits() > MOST_BITS {
        return Err(Coded::usage(format!(
            "{}: {} codes are too many to list; `fewbits round` shows where single numbers go",
            args.format,
            1_u64 << codec.bits()
        )));
    }
    if let Format::KMeans { .. } = format {
        return Err(Coded::usage(format!(
            "{}: its numbers are fitted to each tensor; before that there are none",
            args.format
        )));
    }
    let table = codec.table();
    let written =
        (0..).zip(&table).filter(|(code, value)| value.is_some_and(|value| is_written(&codec, *code, value)));
    let mut numbers: Vec<f64> =
        written.filter_map(|(_, value)| *value).filter(|value| value.is_finite()).collect();
    numbers.sort_by(f64::total_cmp);
    numbers.dedup();
    let mut text = summary(&args.format, &format, &codec, &numbers);
    text += &codes(&codec, &table);
    text += &line("on a line; | is one number, a digit so many, # ten or more", &numbers, |value| value);
    let positive: Vec<f64> = numbers.iter().copied().filter(|value| *value > 0.0).collect();
    if let [least, .., largest] = positive[..]
        && largest / least >= WIDE
    {
        text += &line("the positive ones on a logarithmic line", &positive, f64::log2);
    }
    print(&text)?;
    Ok(Exit::Done)
}

fn summary(name: &str, format: &Format, codec: &Codec, numbers: &[f64]) -> String {
    let width = match format.packing() {
        Packing::Bits(bits) => count(bits as usize, "bit"),
        Packing::FiveToAByte => "8/5 bits, five to a byte".to_owned(),
    };
    let (low, high) = codec.limits();
    let scale = if format.is_fitted() {
        "; its zero point, here in the middle, is found for each tensor"
    } else if let Ok(Scale::None) = format.scale(None) {
        ""
    } else {
        "; times a scale"
    };
    format!(
        "{}: {} from {} to {} in codes of {width}{scale}\n\n",
        crate::ui::plain::printable(name),
        count(numbers.len(), "number"),
        exact(low),
        exact(high)
    )
}

/// Lists the codes, one per line.
fn codes(codec: &Codec, table: &[Option<f64>]) -> String {
    let bits = codec.bits() as usize;
    let places = (table.len() - 1).to_string().len();
    let mut text =
        format!("{:>places$}  {:bits$}  value\n", "code", "bits", places = places.max(4), bits = bits.max(4));
    for (code, value) in table.iter().enumerate() {
        let (value, note) = match value {
            None => ("no number".to_owned(), ""),
            Some(value) => {
                let note = if is_written(codec, code as u32, *value) { "" } else { "  (never written)" };
                (exact(*value), note)
            }
        };
        text += &format!(
            "{code:>places$}  {:bits$}  {value}{note}\n",
            format!("{code:0bits$b}"),
            places = places.max(4),
            bits = bits.max(4),
        );
    }
    text
}

/// Whether some number is encoded as this code: an infinity or NaN, or the code that its value rounds to.
fn is_written(codec: &Codec, code: u32, value: f64) -> bool {
    !value.is_finite() || codec.encode(value, Rounding::Nearest, Draw::none()) == Some(code)
}

/// Draws numbers as marks on a line: `|` for one, a digit for two to nine at one place, `#` for more.
fn line(title: &str, numbers: &[f64], scale: impl Fn(f64) -> f64) -> String {
    let [first, .., last] = numbers else { return String::new() };
    let (low, high) = (scale(*first), scale(*last));
    let place = |value: f64| ((scale(value) - low) / (high - low) * (WIDTH - 1) as f64).round() as usize;
    let mut counts = [0_usize; WIDTH];
    for number in numbers {
        counts[place(*number)] += 1;
    }
    let marks: String = counts
        .iter()
        .map(|count| match count {
            0 => ' ',
            1 => '|',
            2..=9 => char::from_digit(*count as u32, 10).unwrap_or('#'),
            _ => '#',
        })
        .collect();
    let [left, right] = [*first, *last].map(exact);
    let gap = WIDTH.saturating_sub(left.len() + right.len());
    format!(
        "\n{title}\n{}\n{}\n{left}{}{right}\n",
        marks.trim_end(),
        "-".repeat(WIDTH),
        " ".repeat(gap.max(1))
    )
}
