//! Numbers as clients of other languages write them.

use serde_json::Value;

/// A whole number, which may be written as a float.
pub(crate) fn whole(value: &Value) -> Option<i64> {
    /// The largest number up to which a float has every whole one.
    const MOST: f64 = 9_007_199_254_740_992.0;
    let is_whole = |number: &f64| number.fract() == 0.0 && number.abs() <= MOST;
    #[expect(clippy::cast_possible_truncation, reason = "it is whole and small enough")]
    let of_float = || value.as_f64().filter(is_whole).map(|number| number as i64);
    value.as_i64().or_else(of_float)
}
