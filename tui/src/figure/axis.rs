//! Axes with ticks at round values.
//! Knows nothing of the meaning of the values, nor of pixels.

/// The range of an axis, and its ticks.
#[derive(Clone, Debug, PartialEq)]
pub struct FigureAxis {
    /// The start of the axis; its logarithm to base 10 if `log` is set.
    pub low: f64,
    /// The end of the axis, as for `low`.
    pub high: f64,
    /// Whether positions are logarithms to base 10.
    pub log: bool,
    /// Whether the axis runs from the largest value to the smallest.
    pub is_reversed: bool,
    /// The position and the label of each tick.
    pub ticks: Vec<(f64, String)>,
}

impl FigureAxis {
    /// Fits an axis to values, with about `most` ticks: at multiples of 1, 2 or 5 times a power of ten, or at powers of
    /// ten on a logarithmic axis. A logarithmic axis ignores values that are not positive.
    #[must_use]
    pub fn fit(values: impl Iterator<Item = f64>, log: bool, most: usize) -> Self {
        let place = |value: f64| if log { value.log10() } else { value };
        let usable = values.map(place).filter(|place| place.is_finite());
        let (low, high) = usable
            .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), place| (low.min(place), high.max(place)));
        let (low, high) = if low <= high { (low, high) } else { (0.0, 1.0) };
        // A single value gets space around it, in proportion to its size. Logarithmic positions are powers of ten, so
        // there the space does not depend on the unit.
        let largest = match high.abs().max(low.abs()) {
            largest if log => largest.max(1.0),
            0.0 => 1.0,
            largest => largest,
        };
        let room = if high - low > 1e-12 * largest { 0.0 } else { largest * 0.05 };
        let (low, high) = (low - room, high + room);
        let step = if log {
            (high - low).max(1.0).ceil() / (most.max(2) - 1) as f64
        } else {
            nice(high - low, most)
        };
        let step = if log { step.ceil().max(1.0) } else { step };
        // A tick that the data exceed by little is the last one: 5.0002 bits need no tick at 6.
        let beyond = |from: f64, to: f64| !log && (to - from).abs() * step < 0.02 * (high - low);
        let (first, last) = (low / step, high / step);
        let first = if beyond(first, first.ceil()) { first.ceil() } else { first.floor() };
        let last = if beyond(last, last.floor()) { last.floor() } else { last.ceil() };
        let count = ((last - first) as usize).min(50);
        let ticks =
            (0..=count).map(|at| (first + at as f64) * step).map(|place| (place, label(place, step, log)));
        let (low, high) = (low.min(first * step), high.max(last * step));
        Self { low, high, log, is_reversed: false, ticks: ticks.collect() }
    }

    /// Fits a logarithmic axis closely, with ticks at 1, 2 and 5 times powers of ten; for values within three decades.
    #[must_use]
    pub fn fit_decades(values: impl Iterator<Item = f64> + Clone) -> Self {
        let usable = values.clone().filter(|value| *value > 0.0 && value.is_finite());
        let (low, high) =
            usable.fold((f64::INFINITY, 0.0_f64), |(low, high), value| (low.min(value), high.max(value)));
        if high <= 0.0 || high / low > 1e3 || high / low < 1.5 {
            return Self::fit(values, true, 5);
        }
        let (first, last) = (low.log10().floor() as i32, high.log10().ceil() as i32);
        let all: Vec<f64> = (first..=last)
            .flat_map(|power| [1.0, 2.0, 5.0].map(|factor| factor * 10_f64.powi(power)))
            .collect();
        let from = all.iter().rposition(|tick| *tick <= low * (1.0 + 1e-9)).unwrap_or(0);
        let to = all.iter().position(|tick| *tick >= high * (1.0 - 1e-9)).unwrap_or(all.len() - 1);
        let ticks: Vec<(f64, String)> =
            all[from..=to].iter().map(|tick| (tick.log10(), tick_text(*tick))).collect();
        let (low, high) = (all[from].log10(), all[to].log10());
        Self { low, high, log: true, is_reversed: false, ticks }
    }

    /// Returns the value at a position, such as that of a tick.
    #[must_use]
    pub fn value(&self, place: f64) -> f64 {
        if self.log { 10_f64.powf(place) } else { place }
    }

    /// Returns the axis from the largest value to the smallest.
    #[must_use]
    pub fn reversed(self) -> Self {
        Self { is_reversed: true, ..self }
    }

    /// Returns the position of a value between the ends of the axis, from 0 to 1; `None` if it is outside or has no
    /// logarithm.
    #[must_use]
    pub fn share(&self, value: f64) -> Option<f64> {
        let place = if self.log { value.log10() } else { value };
        let share = self.share_of(place);
        let inside = place.is_finite() && (-1e-9..=1.0 + 1e-9).contains(&share);
        inside.then(|| share.clamp(0.0, 1.0))
    }

    /// Returns the place of a position, such as that of a tick, between the ends of the axis: 0 to 1 inside.
    #[must_use]
    pub fn share_of(&self, position: f64) -> f64 {
        let share = (position - self.low) / (self.high - self.low);
        if self.is_reversed { 1.0 - share } else { share }
    }
}

/// Returns the least step of 1, 2 or 5 times a power of ten that divides a span into at most `most` − 1 parts.
fn nice(span: f64, most: usize) -> f64 {
    let raw = span / (most.max(2) - 1) as f64;
    let power = 10_f64.powf(raw.log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0].into_iter().find(|factor| factor * power >= raw * (1.0 - 1e-9));
    step.unwrap_or(10.0) * power
}

/// Writes a tick of 1, 2 or 5 times a power of ten.
fn tick_text(tick: f64) -> String {
    if !(1e-4..1e5).contains(&tick) {
        return format!("{tick:e}");
    }
    let decimals = (-tick.log10().floor()).clamp(0.0, 6.0) as usize;
    format!("{tick:.decimals$}")
}

fn label(place: f64, step: f64, log: bool) -> String {
    if log {
        let value = 10_f64.powf(place);
        return if (1e-3..1e5).contains(&value) { format!("{value}") } else { format!("1e{place:.0}") };
    }
    let place = if place.abs() < step / 2.0 { 0.0 } else { place };
    if place == 0.0 && step < 1e-6 {
        return "0".to_owned();
    }
    if place.abs() >= 1e6 || step < 1e-6 {
        // Enough digits to distinguish a tick from its neighbours.
        let digits = (place.abs().log10().floor() - step.log10().floor()).clamp(0.0, 15.0) as usize;
        return format!("{place:.digits$e}");
    }
    let decimals = (-step.log10().floor()).clamp(0.0, 6.0) as usize;
    format!("{place:.decimals$}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(axis: &FigureAxis) -> Vec<&str> {
        axis.ticks.iter().map(|(_, text)| text.as_str()).collect()
    }

    #[test]
    fn ticks_are_round_values_around_the_data() {
        let check = |values: &[f64], most, expected: &[&str]| {
            assert_eq!(texts(&FigureAxis::fit(values.iter().copied(), false, most)), expected, "{values:?}");
        };
        check(&[0.1, 0.93], 6, &["0.0", "0.2", "0.4", "0.6", "0.8", "1.0"]);
        check(&[2.0, 8.0], 4, &["2", "4", "6", "8"]);
        check(&[1.0, 20.0], 5, &["0", "5", "10", "15", "20"]);
        check(&[-0.03, 0.02], 6, &["-0.03", "-0.02", "-0.01", "0.00", "0.01", "0.02"]);
        check(&[1e-13, 9e-13], 5, &["0", "2e-13", "4e-13", "6e-13", "8e-13", "1.0e-12"]);
        check(&[], 3, &["0.0", "0.5", "1.0"]);
        check(&[f64::NAN, f64::INFINITY], 3, &["0.0", "0.5", "1.0"]);
    }

    #[test]
    fn a_logarithmic_axis_has_powers_of_ten() {
        let axis = FigureAxis::fit([0.02, 3.0, 0.0, -1.0].into_iter(), true, 6);
        assert_eq!(texts(&axis), ["0.01", "0.1", "1", "10"]);
        assert_eq!(axis.share(0.0), None);
        assert!((axis.share(1.0).unwrap() - 2.0 / 3.0).abs() < 1e-12);
    }

    #[test]
    fn one_value_gets_room() {
        let axis = FigureAxis::fit([0.5].into_iter(), false, 4);
        assert!(axis.low < 0.5 && axis.high > 0.5, "{axis:?}");
        for value in [1e-13, -1e-13, 1e12] {
            let axis = FigureAxis::fit([value].into_iter(), false, 4);
            assert!(axis.high - axis.low < value.abs() && axis.share(value).is_some(), "{axis:?}");
        }
    }
}
