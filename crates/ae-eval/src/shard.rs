use std::str::FromStr;

/// One of several equal parts of the work of an evaluation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shard {
    /// Which one, from 0.
    pub index: usize,
    /// How many there are.
    pub count: usize,
}

/// Something that names no shard.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("'{text}' is no shard: expected INDEX/COUNT with an index from 0 below the count, such as 0/8 to 7/8")]
pub struct ShardError {
    text: String,
}

/// An environment that names no shard, though it speaks of shards.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ShardEnvironmentError {
    /// A variable that is no number.
    #[error("{variable} is '{value}': expected a whole number")]
    Number {
        /// Its name.
        variable: &'static str,
        /// Its value.
        value: String,
    },
    /// An index, and nothing that says of how many.
    #[error("{variable} says which shard this is, but not of how many: set AE_SHARDS to the number of shards")]
    NoCount {
        /// What holds the index.
        variable: &'static str,
    },
    /// An index that is not below the count.
    #[error("{variable} makes this shard {index} of {count}: expected an index from 0 to {}", count - 1)]
    Index {
        /// What holds the index.
        variable: &'static str,
        /// The index.
        index: usize,
        /// The count.
        count: usize,
    },
    /// No shards at all.
    #[error("AE_SHARDS is 0: expected the number of shards, 1 or more")]
    NoShards,
}

impl Shard {
    /// All of the work.
    pub const WHOLE: Self = Self { index: 0, count: 1 };

    /// The shard that the environment of a job names: an array of Slurm (`SLURM_ARRAY_TASK_ID` with `_MIN`, `_STEP` and
    /// `_COUNT`), an indexed Job of Kubernetes (`JOB_COMPLETION_INDEX`); none outside either.
    ///
    /// `AE_SHARDS` is the number of shards. Kubernetes does not tell it, and Slurm tells the number of the tasks that were submitted,
    /// which is another one when single tasks are submitted again; with it, the index is the task's own number.
    ///
    /// # Errors
    ///
    /// See [`ShardEnvironmentError`].
    pub fn from_environment(variable: impl Fn(&str) -> Option<String>) -> Result<Option<Self>, ShardEnvironmentError> {
        let number = |name: &'static str| {
            let parse = |value: String| {
                let number = value.trim().parse::<usize>();
                number.map_err(|_| ShardEnvironmentError::Number { variable: name, value })
            };
            variable(name).map(parse).transpose()
        };
        let count = number("AE_SHARDS")?;
        if count == Some(0) {
            return Err(ShardEnvironmentError::NoShards);
        }
        let (name, index, count) = if let Some(task) = number("SLURM_ARRAY_TASK_ID")? {
            let name = "SLURM_ARRAY_TASK_ID";
            let submitted = || {
                let count = number("SLURM_ARRAY_TASK_COUNT")?.filter(|count| *count > 0);
                let count = count.ok_or(ShardEnvironmentError::NoCount { variable: name })?;
                let first = number("SLURM_ARRAY_TASK_MIN")?.unwrap_or(0);
                let step = number("SLURM_ARRAY_TASK_STEP")?.unwrap_or(1).max(1);
                Ok((task.saturating_sub(first) / step, count))
            };
            let (index, count) = count.map_or_else(submitted, |count| Ok((task, count)))?;
            (name, index, count)
        } else if let Some(index) = number("JOB_COMPLETION_INDEX")? {
            let name = "JOB_COMPLETION_INDEX";
            (name, index, count.ok_or(ShardEnvironmentError::NoCount { variable: name })?)
        } else {
            return Ok(None);
        };
        if index >= count {
            return Err(ShardEnvironmentError::Index { variable: name, index, count });
        }
        Ok(Some(Self { index, count }))
    }

    /// Whether what one arm draws of one prompt belongs to the shard. Arms take unequal times, so every shard has some of each.
    pub fn has(self, arm: usize, prompt: usize) -> bool {
        (arm + prompt) % self.count == self.index
    }
}

impl FromStr for Shard {
    type Err = ShardError;

    fn from_str(text: &str) -> Result<Self, ShardError> {
        let parse = || {
            let (index, count) = text.split_once('/')?;
            let (index, count) = (index.trim().parse().ok()?, count.trim().parse().ok()?);
            (index < count).then_some(Self { index, count })
        };
        parse().ok_or_else(|| ShardError { text: text.chars().take(40).collect() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(variables: &[(&str, &str)]) -> Result<Option<Shard>, String> {
        let value =
            |name: &str| variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
        Shard::from_environment(value).map_err(|error| error.to_string())
    }

    #[test]
    fn a_shard_is_written_as_a_fraction() {
        assert_eq!("2/8".parse(), Ok(Shard { index: 2, count: 8 }));
        for text in ["8/8", "1", "a/b", "-1/2", "0/0", ""] {
            assert!(
                text.parse::<Shard>().unwrap_err().to_string().contains("no shard: expected INDEX/COUNT"),
                "{text}"
            );
        }
    }

    #[test]
    fn slurm_and_kubernetes_name_a_shard() {
        assert_eq!(environment(&[]), Ok(None));
        assert_eq!(environment(&[("AE_SHARDS", "4")]), Ok(None));
        let slurm = [
            ("SLURM_ARRAY_TASK_ID", "7"),
            ("SLURM_ARRAY_TASK_MIN", "1"),
            ("SLURM_ARRAY_TASK_STEP", "2"),
            ("SLURM_ARRAY_TASK_COUNT", "4"),
        ];
        assert_eq!(environment(&slurm), Ok(Some(Shard { index: 3, count: 4 })));
        // A task submitted again alone: Slurm counts one.
        let again = [("SLURM_ARRAY_TASK_ID", "3"), ("SLURM_ARRAY_TASK_MIN", "3"), ("SLURM_ARRAY_TASK_COUNT", "1")];
        let again = [again.as_slice(), &[("AE_SHARDS", "4")]].concat();
        assert_eq!(environment(&again), Ok(Some(Shard { index: 3, count: 4 })));
        let kubernetes = [("JOB_COMPLETION_INDEX", "0"), ("AE_SHARDS", "3")];
        assert_eq!(environment(&kubernetes), Ok(Some(Shard { index: 0, count: 3 })));
    }

    #[test]
    fn an_environment_that_cannot_be_read_is_refused() {
        let refusal = |variables: &[(&str, &str)]| environment(variables).unwrap_err();
        assert!(refusal(&[("JOB_COMPLETION_INDEX", "0")]).contains("set AE_SHARDS"));
        assert!(refusal(&[("SLURM_ARRAY_TASK_ID", "0")]).contains("set AE_SHARDS"));
        assert_eq!(refusal(&[("SLURM_ARRAY_TASK_ID", "x")]), "SLURM_ARRAY_TASK_ID is 'x': expected a whole number");
        assert_eq!(
            refusal(&[("JOB_COMPLETION_INDEX", "3"), ("AE_SHARDS", "3")]),
            "JOB_COMPLETION_INDEX makes this shard 3 of 3: expected an index from 0 to 2"
        );
        assert!(refusal(&[("AE_SHARDS", "0")]).starts_with("AE_SHARDS is 0"));
    }

    #[test]
    fn shards_share_every_arm_and_leave_nothing() {
        for count in 1..6 {
            for arm in 0..4 {
                let of = |index| (0..20).filter(move |prompt| Shard { index, count }.has(arm, *prompt)).count();
                let counts: Vec<_> = (0..count).map(of).collect();
                assert_eq!(counts.iter().sum::<usize>(), 20);
                assert!(counts.iter().all(|shared| shared.abs_diff(20 / count) <= 1), "{counts:?}");
            }
        }
    }
}
