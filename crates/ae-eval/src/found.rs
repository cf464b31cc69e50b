use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, DirEntry};
use std::path::Path;

use crate::prompt::of_no_set;
use crate::{Arm, FolderError, Plan, Prompt, things_of};

/// What is in a folder without a plan.
pub(crate) struct Found {
    pub(crate) plan: Plan,
    /// Whether prompts lie in the folder itself.
    pub(crate) is_single: bool,
}

impl Found {
    /// Looks through a folder; `others` are names of folders that are no arms.
    pub(crate) fn search(path: &Path, others: &[&str]) -> Result<Self, FolderError> {
        let (mut prompts, mut seeds) = (BTreeSet::new(), BTreeSet::new());
        let mut has_pictures = |folder: &Path| -> Result<bool, FolderError> {
            let mut any = false;
            for prompt in subfolders(folder)? {
                let found = seeds_in(&folder.join(&prompt))?;
                if !found.is_empty() {
                    seeds.extend(found);
                    prompts.insert(prompt);
                    any = true;
                }
            }
            Ok(any)
        };
        let is_single = has_pictures(path)?;
        let mut arms = Vec::new();
        if is_single {
            let name = path.canonicalize().ok().and_then(|path| Some(path.file_name()?.to_string_lossy().into_owned()));
            arms.push(name.unwrap_or_else(|| "pictures".to_owned()));
        } else {
            for arm in subfolders(path)? {
                if !others.contains(&arm.as_str()) && has_pictures(&path.join(&arm))? {
                    arms.push(arm);
                }
            }
        }
        if arms.is_empty() {
            return Err(FolderError::NoPictures { path: path.to_owned() });
        }
        // Plain sampling is what the others are compared with.
        arms.sort_by_key(|arm| arm != "stable-diffusion");
        let arms = arms.into_iter().map(|name| Arm { name, settings: serde_json::Value::Null }).collect();
        let prompts = prompts.into_iter().map(|text| {
            let things = things_of(&text);
            Prompt { things, ..Prompt::new(text, of_no_set()) }
        });
        let plan = Plan {
            model: "unknown".to_owned(),
            arms,
            prompts: prompts.collect(),
            seeds: seeds.into_iter().collect(),
            files: BTreeMap::new(),
        };
        Ok(Self { plan: plan.with_sets_of_the_benchmark(), is_single })
    }
}

/// The names of the folders in a folder, sorted.
pub(crate) fn subfolders(path: &Path) -> Result<Vec<String>, FolderError> {
    let folders = entries(path)?.into_iter().filter(|entry| entry.path().is_dir());
    let mut names: Vec<_> = folders.filter_map(|entry| entry.file_name().into_string().ok()).collect();
    names.sort();
    Ok(names)
}

/// The seeds that have a picture in a folder.
fn seeds_in(path: &Path) -> Result<Vec<u64>, FolderError> {
    let seed = |entry: DirEntry| entry.file_name().to_str()?.strip_suffix(".png")?.parse().ok();
    Ok(entries(path)?.into_iter().filter_map(seed).collect())
}

fn entries(path: &Path) -> Result<Vec<DirEntry>, FolderError> {
    let entries = fs::read_dir(path).and_then(Iterator::collect);
    entries.map_err(|cause| FolderError::Read { path: path.to_owned(), cause })
}
