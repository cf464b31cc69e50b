//! Seeds as a command line takes them.

use std::str::FromStr;

/// Seeds in the order given, each once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seeds(pub Vec<u64>);

impl FromStr for Seeds {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        /// More pictures than anybody waits for; a mistyped range is caught before it fills memory.
        const MOST: u64 = 100_000;
        let number = |part: &str| {
            part.trim()
                .parse::<u64>()
                .map_err(|_| format!("'{part}' is not a seed: expected numbers like 0,1,2 or 0-63"))
        };
        let (mut seeds, mut asked) = (Vec::new(), 0_u64);
        let mut seen = std::collections::HashSet::new();
        for part in text.split(',') {
            let (first, last) = match part.split_once('-') {
                Some((first, last)) => (number(first)?, number(last)?),
                None => (number(part)?, number(part)?),
            };
            if last < first {
                return Err(format!("the range {part} runs backwards"));
            }
            asked = asked.saturating_add(last - first).saturating_add(1);
            if asked > MOST {
                return Err(format!("these are more than {MOST} seeds, which is the most of one run"));
            }
            seeds.extend((first..=last).filter(|seed| seen.insert(*seed)));
        }
        Ok(Self(seeds))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A hundred ranges, each within the limit.
    #[test]
    fn all_seeds_together_have_a_limit() {
        let ranges = |count: u64, size: u64| {
            let range = |index: u64| format!("{}-{}", index * size, (index + 1) * size - 1);
            (0..count).map(range).collect::<Vec<_>>().join(",")
        };
        assert_eq!(ranges(4, 25_000).parse::<Seeds>().map(|seeds| seeds.0.len()), Ok(100_000));
        let again = vec!["0-99999"; 100].join(",");
        for wrong in [&ranges(100, 100_000), &ranges(5, 25_000), &again, "0-100000", "0-18446744073709551615"] {
            let error = wrong.parse::<Seeds>().unwrap_err();
            assert_eq!(error, "these are more than 100000 seeds, which is the most of one run");
        }
    }

    #[test]
    fn seeds_are_lists_and_ranges_without_repeats() {
        assert_eq!("3,0-2,1".parse(), Ok(Seeds(vec![3, 0, 1, 2])));
        assert_eq!("18446744073709551615".parse(), Ok(Seeds(vec![u64::MAX])));
        for wrong in ["", "a", "1,", "5-2", "-1", "0-18446744073709551615", "1.5", "0-"] {
            assert!(wrong.parse::<Seeds>().is_err(), "{wrong}");
        }
    }
}
