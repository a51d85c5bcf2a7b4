//! Random numbers that mean the same today, tomorrow and in any version of any crate.
//!
//! `SplitMix64` (Steele, Lea and Flood 2014), keyed: a [`Draw`] starts from a seed, a purpose and the numbers of what is
//! being drawn for. Any record can therefore be made without making the ones before it.

/// What a number is drawn for. The discriminants are part of what a seed means: append, never renumber.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Purpose {
    Org = 1,
    Session = 2,
    Course = 3,
    Class = 4,
    User = 5,
    Enrollment = 6,
    Demographics = 7,
    UserChange = 8,
    ClassChange = 9,
    Move = 10,
    Departure = 11,
    Closure = 12,
    Opening = 13,
    Drop = 14,
    Add = 15,
    Household = 16,
    Timetable = 17,
    Staffing = 18,
    Contact = 19,
}

const STEP: u64 = 0x9E37_79B9_7F4A_7C15;

/// The finalizer of `SplitMix64`: a bijection on 64 bits.
pub(crate) const fn mix(number: u64) -> u64 {
    let mut z = number;
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// The key of a seed and a purpose.
pub(crate) const fn key(seed: u64, purpose: Purpose) -> u64 {
    mix(seed.wrapping_add(STEP).wrapping_add(STEP.wrapping_mul(purpose as u64)))
}

/// A sequence of random numbers.
#[derive(Debug, Clone)]
pub(crate) struct Draw(u64);

impl Draw {
    /// The sequence for `numbers`, under `seed` and `purpose`.
    pub(crate) fn new(seed: u64, purpose: Purpose, numbers: &[usize]) -> Self {
        Self(numbers.iter().fold(key(seed, purpose), |state, &number| {
            mix(state.wrapping_add(STEP) ^ mix((number as u64).wrapping_add(STEP)))
        }))
    }

    /// The next number.
    pub(crate) const fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(STEP);
        mix(self.0)
    }

    /// A number below `bound`, which must not be zero.
    #[expect(clippy::cast_possible_truncation, reason = "the high half of the product is below `bound`, a usize")]
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        ((u128::from(self.next()) * bound as u128) >> 64) as usize
    }

    /// True in `percent` of 100 cases.
    pub(crate) fn percent(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    /// True in `permille` of 1000 cases.
    pub(crate) fn permille(&mut self, permille: usize) -> bool {
        self.below(1000) < permille
    }

    /// One of `choices`, which must not be empty.
    pub(crate) fn pick<'a, T>(&mut self, choices: &'a [T]) -> &'a T {
        &choices[self.below(choices.len())]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sequence_is_the_published_splitmix64() {
        // The reference values for the state 1234567.
        let mut draw = Draw(1_234_567);
        assert_eq!(
            [draw.next(), draw.next(), draw.next()],
            [6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423]
        );
    }

    #[test]
    fn draws_of_other_seeds_purposes_and_numbers_differ() {
        let first = |seed, purpose, numbers: &[usize]| Draw::new(seed, purpose, numbers).next();
        let all = [
            first(1, Purpose::User, &[1, 2]),
            first(2, Purpose::User, &[1, 2]),
            first(1, Purpose::Class, &[1, 2]),
            first(1, Purpose::User, &[2, 1]),
            first(1, Purpose::User, &[1]),
        ];
        for (i, a) in all.iter().enumerate() {
            assert!(!all[..i].contains(a));
        }
    }
}
