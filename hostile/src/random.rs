//! Chance that can be repeated.

/// A small generator (xorshift64*): the same seed, the same mutants.
pub struct Random(u64);

impl Random {
    /// From a seed.
    pub fn new(seed: u64) -> Self {
        // Neighbouring seeds shall not begin alike.
        let mut random = Self((seed ^ 0x9e37_79b9_7f4a_7c15) | 1);
        for _ in 0..8 {
            random.word();
        }
        random
    }

    /// The seed in SEED, or one of the clock.
    pub fn seed() -> u64 {
        let clock = std::time::UNIX_EPOCH.elapsed().map_or(1, |d| d.as_nanos() as u64);
        std::env::var("SEED").ok().and_then(|s| s.parse().ok()).unwrap_or(clock)
    }

    /// 64 bits.
    pub fn word(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// Below `n`; 0 if there is nothing below.
    pub fn below(&mut self, n: usize) -> usize {
        ((u128::from(self.word()) * n as u128) >> 64) as usize
    }

    /// Once in `n` times.
    pub fn once_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }

    /// One of them.
    pub fn of<'a, T>(&mut self, all: &'a [T]) -> Option<&'a T> {
        all.get(self.below(all.len()))
    }
}
