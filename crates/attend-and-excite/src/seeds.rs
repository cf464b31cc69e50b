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
        let mut seeds = Vec::new();
        let mut seen = std::collections::HashSet::new();
        for part in text.split(',') {
            let (first, last) = match part.split_once('-') {
                Some((first, last)) => (number(first)?, number(last)?),
                None => (number(part)?, number(part)?),
            };
            if last < first {
                return Err(format!("the range {part} runs backwards"));
            }
            if last - first >= MOST {
                return Err(format!("the range {part} has more than {MOST} seeds"));
            }
            seeds.extend((first..=last).filter(|seed| seen.insert(*seed)));
        }
        Ok(Self(seeds))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seeds_are_lists_and_ranges_without_repeats() {
        assert_eq!("3,0-2,1".parse(), Ok(Seeds(vec![3, 0, 1, 2])));
        assert_eq!("18446744073709551615".parse(), Ok(Seeds(vec![u64::MAX])));
        for wrong in ["", "a", "1,", "5-2", "-1", "0-18446744073709551615", "1.5", "0-"] {
            assert!(wrong.parse::<Seeds>().is_err(), "{wrong}");
        }
    }
}
