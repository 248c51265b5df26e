//! The reader of devices.

use fewbits_engine::text::fault::Faults;
use fewbits_engine::text::fields::{Fields, FromValue};
use fewbits_engine::text::value::Value;
use fewbits_engine::text::variant::{VariantReader, read_variant};

use crate::backend::{CandleDevice, Device};

/// The largest number of a device; a larger one counts as a mistake.
const MOST: i64 = 255;

impl FromValue for Device {
    fn from_value(value: &Value, faults: &mut Faults) -> Option<Self> {
        let variants: [(_, VariantReader<Self>); 2] = [
            ("Cpu", |_, _| Some(Self::Cpu)),
            ("Candle", |fields, faults| {
                fields.about(&[("on", "The device that candle uses.")]);
                fields.optional("on", CandleDevice::Cpu, faults).map(Self::Candle)
            }),
        ];
        read_variant(value, "a device", &variants, faults)
    }
}

impl FromValue for CandleDevice {
    fn from_value(value: &Value, faults: &mut Faults) -> Option<Self> {
        let variants: [(_, VariantReader<Self>); 3] = [
            ("Cpu", |_, _| Some(Self::Cpu)),
            ("Cuda", |fields, faults| number(fields, faults).map(Self::Cuda)),
            ("Metal", |fields, faults| number(fields, faults).map(Self::Metal)),
        ];
        read_variant(value, "a device of candle", &variants, faults)
    }
}

fn number(fields: &mut Fields<'_>, faults: &mut Faults) -> Option<usize> {
    fields.about(&[("number", "The number of the device, from 0.")]);
    fields.whole("number", 0..=MOST, Some(0), faults).map(|number| number as usize)
}
