use super::Interval;

/// The normal deviate of 95 %.
const DEVIATE: f64 = 1.959_963_984_540_054;

/// Wilson's score interval (1927) of a share that was seen in a number of trials, at least one.
pub(super) fn wilson_interval(share: f64, trials: usize) -> Interval {
    let trials = trials as f64;
    let square = DEVIATE * DEVIATE;
    let middle = share + square / (2.0 * trials);
    let half = DEVIATE * (share * (1.0 - share) / trials + square / (4.0 * trials * trials)).max(0.0).sqrt();
    let end = |end: f64| (end / (1.0 + square / trials)).clamp(0.0, 1.0);
    Interval { low: end(middle - half), high: end(middle + half) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `scipy.stats.binomtest(k, n).proportion_ci(method="wilson")`
    #[test]
    fn the_interval_is_scipys() {
        for (hits, trials, low, high) in [
            (0.0, 3, 0.0, 0.561_497_031_755_045_4),
            (3.0, 3, 0.438_502_968_244_954_6, 1.0),
            (1.0, 1, 0.206_549_314_377_234_57, 1.0),
            (7.0, 20, 0.181_191_824_101_082_1, 0.567_145_723_314_763_7),
        ] {
            let interval = wilson_interval(hits / trials as f64, trials);
            assert!(
                (interval.low - low).abs() < 1e-9 && (interval.high - high).abs() < 1e-9,
                "{hits}/{trials}: {interval:?}"
            );
        }
    }
}
