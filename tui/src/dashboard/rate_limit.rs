//! A rate limit that keeps repeated work to a share of the time: the longer the work takes, the longer the pause.
//! Knows nothing of the work.

use std::time::{Duration, Instant};

/// The end and the duration of the last repetition.
#[derive(Clone, Copy, Debug)]
pub struct RateLimit {
    ended: Instant,
    took: Duration,
}

impl RateLimit {
    /// Records that work which began at `start` ends now.
    #[must_use]
    pub fn after(start: Instant) -> Self {
        Self { ended: Instant::now(), took: start.elapsed() }
    }

    /// Returns the rest of the pause, which lasts at least `least` and at least `times` as long as the work took.
    #[must_use]
    pub fn left(&self, least: Duration, times: u32) -> Duration {
        least.max(self.took.saturating_mul(times)).saturating_sub(self.ended.elapsed())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_work_rests_longer() {
        let rest = |took| RateLimit { ended: Instant::now(), took: Duration::from_millis(took) };
        let left = |rest: RateLimit| rest.left(Duration::from_secs(100), 1000).as_secs_f64().round();
        assert_eq!((left(rest(1)), left(rest(200))), (100.0, 200.0));
        let long_ago =
            Instant::now().checked_sub(Duration::from_secs(2)).expect("a clock that has run for a while");
        let rest = RateLimit { ended: long_ago, took: Duration::from_millis(1) };
        assert_eq!(rest.left(Duration::from_secs(1), 1000), Duration::ZERO);
    }
}
