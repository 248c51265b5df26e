//! The choice of one option for each of several items so that the bytes stay within a budget and the loss is least: the
//! multiple-choice knapsack problem, solved exactly by dynamic programming over the choices that no other beats.
//! Knows nothing of networks.

/// An option of an item.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Choice {
    /// The bytes that it takes.
    pub bytes: u64,
    /// Its loss, at least 0; losses add up.
    pub loss: f64,
}

/// The resolution of losses: they are summed as whole multiples of it, so that sums do not depend on their order.
const UNIT: f64 = 1.0 / (1_u64 << 40) as f64;
/// The greatest loss of an option; greater ones count as this.
const MOST_LOSS: f64 = 1024.0;

/// The options of the last items that no other options of these items beat.
struct Front {
    states: Vec<State>,
}

/// The options of the last items, one of each.
#[derive(Clone, Copy)]
struct State {
    bytes: u64,
    /// The loss in units.
    loss: u64,
    /// The option of the first of these items.
    option: u32,
    /// The options of the items behind it: their place in the next front.
    rest: u32,
}

/// Returns the option of each item with the least sum of losses within `most` bytes; `None` if even the smallest options take
/// more. Of equal losses, the fewest bytes win, then the options that are listed first.
#[must_use]
pub fn allocate(items: &[Vec<Choice>], most: u64) -> Option<Vec<usize>> {
    let least: Vec<u64> =
        items.iter().map(|options| options.iter().map(|option| option.bytes).min()).collect::<Option<_>>()?;
    most.checked_sub(least.iter().sum())?;
    let bound = Bound::new(items, most);
    let mut fronts: Vec<Front> =
        vec![Front { states: vec![State { bytes: 0, loss: 0, option: 0, rest: 0 }] }];
    // From the last item to the first, so that the option of an item is known before those behind it: ties go by order.
    for (at, options) in items.iter().enumerate().rev() {
        let behind = &fronts[fronts.len() - 1];
        // The bytes that the items from here on may take if those before take their least.
        let room = most - least[..at].iter().sum::<u64>();
        let mut states = Vec::with_capacity(options.len() * behind.states.len());
        for (option, choice) in options.iter().enumerate() {
            for (rest, state) in behind.states.iter().enumerate() {
                let (bytes, loss) = (state.bytes + choice.bytes, state.loss + units(choice.loss));
                if bytes <= room && bound.may_win(at, bytes, loss) {
                    states.push(State { bytes, loss, option: option as u32, rest: rest as u32 });
                }
            }
        }
        states.sort_unstable_by_key(|state| (state.bytes, state.loss, state.option));
        let mut least_loss = u64::MAX;
        states.retain(|state| {
            let is_better = state.loss < least_loss;
            least_loss = least_loss.min(state.loss);
            is_better
        });
        fronts.push(Front { states });
    }
    // The last state of a front has the least loss.
    let mut place = fronts.last()?.states.len().checked_sub(1)?;
    let mut chosen = vec![];
    for front in fronts.iter().rev().take(items.len()) {
        let state = front.states[place];
        chosen.push(state.option as usize);
        place = state.rest as usize;
    }
    Some(chosen)
}

/// Returns a loss in whole units.
fn units(loss: f64) -> u64 {
    // A loss that is no number counts as the greatest.
    (loss.clamp(0.0, MOST_LOSS).min(MOST_LOSS) / UNIT).round() as u64
}

/// A lower bound on the loss of any choice that contains given options, from Lagrange's relaxation: a byte costs a price, and
/// then each item takes its best option by itself.
struct Bound {
    most: f64,
    /// The price of a byte, in units of loss.
    price: f64,
    /// For each item, the least cost of the items before it, with the price of their bytes.
    before: Vec<f64>,
    /// The loss of a choice within the budget.
    found: f64,
}

impl Bound {
    fn new(items: &[Vec<Choice>], most: u64) -> Self {
        let at_price = |price: f64| -> (u64, f64) {
            let best = |options: &Vec<Choice>| {
                let cost = |option: &&Choice| units(option.loss) as f64 + price * option.bytes as f64;
                // At equal cost the smaller option: the highest price then gives the smallest choice.
                options
                    .iter()
                    .min_by(|one, other| cost(one).total_cmp(&cost(other)).then(one.bytes.cmp(&other.bytes)))
                    .copied()
            };
            items.iter().filter_map(best).fold((0, 0.0), |(bytes, loss), option| {
                (bytes + option.bytes, loss + units(option.loss) as f64)
            })
        };
        // The least price at which the choice is within the budget.
        let (mut low, mut high) = (0.0, MOST_LOSS / UNIT * (items.len() + 1) as f64);
        for _ in 0..128 {
            let middle = f64::midpoint(low, high);
            if at_price(middle).0 <= most { high = middle } else { low = middle }
        }
        let (bytes, loss) = at_price(high);
        let found = if bytes <= most { loss } else { f64::INFINITY };
        let mut before = vec![0.0];
        for options in items {
            let cost = options.iter().map(|option| units(option.loss) as f64 + high * option.bytes as f64);
            before.push(before[before.len() - 1] + cost.fold(f64::INFINITY, f64::min));
        }
        Self { most: most as f64, price: high, before, found }
    }

    /// Whether options of the items from `at` on, with these bytes and this loss, may be part of the best choice.
    fn may_win(&self, at: usize, bytes: u64, loss: u64) -> bool {
        let cost = loss as f64 + self.price * bytes as f64 + self.before[at];
        let bound = cost - self.price * self.most;
        // The terms may be much larger than their difference.
        bound <= self.found + 1.0 + 1e-9 * (cost.abs() + self.price * self.most)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Tries every choice.
    fn by_force(items: &[Vec<Choice>], most: u64) -> Option<Vec<usize>> {
        let mut best: Option<(u64, u64, Vec<usize>)> = None;
        let mut chosen = vec![0; items.len()];
        loop {
            let options = || items.iter().zip(&chosen).map(|(options, option)| options[*option]);
            let (bytes, loss) =
                (options().map(|of| of.bytes).sum(), options().map(|of| units(of.loss)).sum());
            let found = (loss, bytes, chosen.clone());
            if bytes <= most && best.as_ref().is_none_or(|best| found < *best) {
                best = Some(found);
            }
            let Some(at) = (0..items.len()).rev().find(|&at| chosen[at] + 1 < items[at].len()) else { break };
            chosen[at] += 1;
            chosen[at + 1..].fill(0);
        }
        best.map(|(.., chosen)| chosen)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        #[test]
        fn the_choice_is_that_of_trying_all(
            items in prop::collection::vec(
                prop::collection::vec((0..40_u64, prop_oneof![0.0..2.0, (0..4).prop_map(f64::from)]), 1..7), 1..5),
            most in 0..160_u64,
        ) {
            let items: Vec<Vec<Choice>> = items
                .iter()
                .map(|options| options.iter().map(|&(bytes, loss)| Choice { bytes, loss }).collect())
                .collect();
            prop_assert_eq!(allocate(&items, most), by_force(&items, most));
        }
    }

    #[test]
    fn losses_that_are_no_numbers_are_the_greatest() {
        let item = |losses: [f64; 2]| losses.map(|loss| Choice { bytes: 1, loss }).to_vec();
        assert_eq!(allocate(&[item([f64::NAN, 3.0]), item([f64::INFINITY, 2000.0])], 2), Some(vec![1, 0]));
    }

    /// A network of 200 layers with 8 options each takes a moment: the bound leaves few states.
    #[test]
    fn many_layers_take_a_moment() {
        let option = |at: u64, bits: u64| {
            let weights = 1000 + at * 7919 % 100_000;
            let noise = (at * 31 + bits * 17) % 13;
            Choice {
                bytes: weights * bits / 8,
                loss: (1.0 + noise as f64 / 9.0) * 0.25_f64.powi(bits as i32),
            }
        };
        let items: Vec<Vec<Choice>> =
            (0..200).map(|at| (2..10).map(|bits| option(at, bits)).collect()).collect();
        let start = std::time::Instant::now();
        let chosen = allocate(&items, 5_000_000).expect("a choice");
        let bytes: u64 = items.iter().zip(&chosen).map(|(options, option)| options[*option].bytes).sum();
        assert!(bytes <= 5_000_000 && bytes > 4_990_000, "{bytes}");
        assert!(start.elapsed().as_secs() < 20, "{:?}", start.elapsed());
    }
}
