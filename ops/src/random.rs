//! Counter-based random numbers: Philox4x32-10 (Salmon et al., *Parallel Random Numbers: As Easy as 1, 2, 3*, 2011).
//! Knows nothing of the use of the numbers. A number depends on seed, purpose, name and element alone, so there is no
//! state and no order.

const MULTIPLIERS: [u32; 2] = [0xD251_1F53, 0xCD9E_8D57];
const WEYL: [u32; 2] = [0x9E37_79B9, 0xBB67_AE85];
const ROUNDS: usize = 10;

/// A stream of random numbers, addressed by element.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stream {
    key: [u32; 2],
}

impl Stream {
    /// Makes the stream of a seed for one purpose ("init", "order", …) and one name (a tensor, an epoch).
    #[must_use]
    pub fn new(seed: u64, purpose: &str, name: &str) -> Self {
        let mut hasher = blake3::Hasher::new_derive_key("fewbits random stream v1");
        hasher.update(&seed.to_le_bytes());
        for text in [purpose, name] {
            hasher.update(&(text.len() as u64).to_le_bytes());
            hasher.update(text.as_bytes());
        }
        let hash = hasher.finalize();
        let bytes = hash.as_bytes();
        let word = |at: usize| u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
        Self { key: [word(0), word(4)] }
    }

    /// Returns block `index` of the stream: the numbers of elements `4 * index` to `4 * index + 3`.
    #[must_use]
    pub fn block(&self, index: u64) -> [u32; 4] {
        philox([index as u32, (index >> 32) as u32, 0, 0], self.key)
    }

    /// Writes the numbers of the elements from `first` on.
    #[inline(always)]
    pub(crate) fn fill(self, first: u64, out: &mut [u32]) {
        // Numbers up to the next block, then whole blocks, then the rest.
        let head = ((4 - first % 4) % 4).min(out.len() as u64) as usize;
        let (head, rest) = out.split_at_mut(head);
        for (at, number) in head.iter_mut().enumerate() {
            *number = self.bits(first + at as u64);
        }
        let first = first + head.len() as u64;
        let (blocks, tail) = rest.as_chunks_mut::<4>();
        fill_blocks(first / 4, self.key, blocks);
        let last = self.block(first / 4 + blocks.len() as u64);
        tail.copy_from_slice(&last[..tail.len()]);
    }

    /// Returns the number of one element, uniform over all 32-bit values.
    #[must_use]
    pub fn bits(&self, element: u64) -> u32 {
        self.block(element / 4)[(element % 4) as usize]
    }

    /// Returns a number in [0, 1) with 24 random bits, exact in binary32.
    #[must_use]
    pub fn unit(&self, element: u64) -> f32 {
        (self.bits(element) >> 8) as f32 * (1.0 / 16_777_216.0)
    }

    /// Returns the first `count` elements of [`Self::permutation`], ascending; all if there are fewer.
    #[must_use]
    pub fn sample(&self, n: usize, count: usize) -> Vec<u32> {
        let mut keyed: Vec<u64> =
            (0..n as u64).map(|element| u64::from(self.bits(element)) << 32 | element).collect();
        if count < n {
            keyed.select_nth_unstable(count);
            keyed.truncate(count);
        }
        let mut sampled: Vec<u32> = keyed.into_iter().map(|key| key as u32).collect();
        sampled.sort_unstable();
        sampled
    }

    /// Returns a permutation of `0..n`: the elements sorted by their random number, ties by element.
    #[must_use]
    pub fn permutation(&self, n: usize) -> Vec<u32> {
        let mut keyed: Vec<u64> =
            (0..n as u64).map(|element| u64::from(self.bits(element)) << 32 | element).collect();
        keyed.sort_unstable();
        keyed.into_iter().map(|key| key as u32).collect()
    }
}

fn philox(mut counter: [u32; 4], mut key: [u32; 2]) -> [u32; 4] {
    for round in 0..ROUNDS {
        if round > 0 {
            key = [key[0].wrapping_add(WEYL[0]), key[1].wrapping_add(WEYL[1])];
        }
        let first = u64::from(MULTIPLIERS[0]) * u64::from(counter[0]);
        let second = u64::from(MULTIPLIERS[1]) * u64::from(counter[2]);
        counter = [
            (second >> 32) as u32 ^ counter[1] ^ key[0],
            second as u32,
            (first >> 32) as u32 ^ counter[3] ^ key[1],
            first as u32,
        ];
    }
    counter
}

/// Writes the blocks from `first` on. Each 32-bit word is held in 64 bits, whose upper half is never read: processors
/// multiply in this layout, so the loop over blocks becomes vector code.
#[inline(always)]
fn fill_blocks(first: u64, key: [u32; 2], blocks: &mut [[u32; 4]]) {
    let low = |word: u64| word & 0xffff_ffff;
    for (index, block) in (first..).zip(blocks) {
        let mut words = [index, index >> 32, 0, 0];
        let mut key = key;
        for round in 0..ROUNDS {
            if round > 0 {
                key = [key[0].wrapping_add(WEYL[0]), key[1].wrapping_add(WEYL[1])];
            }
            let first = u64::from(MULTIPLIERS[0]) * low(words[0]);
            let second = u64::from(MULTIPLIERS[1]) * low(words[2]);
            words = [
                second >> 32 ^ words[1] ^ u64::from(key[0]),
                second,
                first >> 32 ^ words[3] ^ u64::from(key[1]),
                first,
            ];
        }
        *block = words.map(|word| word as u32);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The known-answer vectors of the Random123 distribution (`kat_vectors`, philox4x32, 10 rounds).
    #[test]
    fn philox_meets_the_known_answers() {
        let check = |counter, key, expected: [u32; 4]| assert_eq!(philox(counter, key), expected);
        check([0; 4], [0; 2], [0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8]);
        check([u32::MAX; 4], [u32::MAX; 2], [0x408f_276d, 0x41c8_3b0e, 0xa20b_c7c6, 0x6d54_51fd]);
        check(
            [0x243f_6a88, 0x85a3_08d3, 0x1319_8a2e, 0x0370_7344],
            [0xa409_3822, 0x299f_31d0],
            [0xd16c_fe09, 0x94fd_cceb, 0x5001_e420, 0x2412_6ea1],
        );
    }

    #[test]
    fn filling_gives_the_numbers_of_the_elements() {
        let stream = Stream::new(5, "round", "w");
        for (first, count) in [(0, 1), (0, 64), (3, 200), (61, 3), (64, 130), (7, 0), ((1 << 34) - 5, 90)] {
            let mut numbers = vec![0; count];
            stream.fill(first, &mut numbers);
            for (at, number) in numbers.iter().enumerate() {
                assert_eq!(*number, stream.bits(first + at as u64), "{first} + {at}");
            }
        }
    }

    #[test]
    fn streams_differ_by_seed_purpose_and_name() {
        let streams = [
            Stream::new(0, "init", "a"),
            Stream::new(1, "init", "a"),
            Stream::new(0, "order", "a"),
            Stream::new(0, "init", "b"),
            Stream::new(0, "inita", ""),
        ];
        for (i, a) in streams.iter().enumerate() {
            assert!(streams[i + 1..].iter().all(|b| a.key != b.key));
        }
    }

    #[test]
    fn a_permutation_holds_every_element_once() {
        let mut order = Stream::new(7, "order", "0").permutation(1000);
        assert_ne!(order, (0..1000).collect::<Vec<_>>());
        order.sort_unstable();
        assert_eq!(order, (0..1000).collect::<Vec<_>>());
    }
}
