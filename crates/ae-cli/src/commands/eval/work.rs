use ae_eval::{Folder, Plan, Prompt, Shard};

use attend_and_excite::evaluation::ArmSettings;

use crate::args::EvalRunArgs;
use crate::error::CliError;

/// Everything there is to draw.
pub(super) struct Evaluation<'a> {
    pub(super) args: &'a EvalRunArgs,
    pub(super) folder: &'a Folder,
    pub(super) arms: &'a [ArmSettings],
    pub(super) plan: &'a Plan,
}

/// Pictures that are drawn together.
pub(super) struct Unit<'a> {
    pub(super) arm: &'a ArmSettings,
    /// The place of the arm among all.
    pub(super) arm_index: usize,
    pub(super) prompt: &'a Prompt,
    pub(super) seeds: Vec<u64>,
}

impl Evaluation<'_> {
    /// What is missing, prompt by prompt, so that all arms come equally far.
    pub(super) fn work(&self, shard: Shard) -> Result<Vec<Unit<'_>>, CliError> {
        let mut units = Vec::new();
        for (prompt, (arm_index, arm)) in self.places(shard) {
            let seeds = self.folder.missing(&arm.name, &prompt.text, &self.plan.seeds)?;
            let batches = seeds.chunks(self.args.devices.batch_size.get());
            units.extend(batches.map(|seeds| Unit { arm, arm_index, prompt, seeds: seeds.to_vec() }));
        }
        Ok(units)
    }

    /// The pictures of a shard, drawn or not.
    pub(super) fn pictures(&self, shard: Shard) -> usize {
        self.places(shard).count() * self.plan.seeds.len()
    }

    fn places(&self, shard: Shard) -> impl Iterator<Item = (&Prompt, (usize, &ArmSettings))> {
        let prompts = self.plan.prompts.iter().enumerate();
        prompts.flat_map(move |(index, prompt)| {
            let arms = self.arms.iter().enumerate().filter(move |(arm, _)| shard.has(*arm, index));
            arms.map(move |arm| (prompt, arm))
        })
    }
}
