use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use ae_files::{folder_name, is_former_name, read_file, remove_unfinished, write_file};
use serde::de::DeserializeOwned;

use crate::found::{Found, subfolders};
use crate::plan::PlanError;
use crate::{ArmCosts, PictureCost, Plan, Scores, ScoresError};

/// The folder of an evaluation: `ARM/PROMPT/SEED.png`, the layout of the official repository below each arm, with the plan in
/// `evaluation.json`, scores in `scores/SCORER/ARM.json`, and what each picture cost in `costs/ARM/PROMPT/SEED.json`.
///
/// Every file appears whole or not at all, so that what is there counts, whoever was killed while writing what is not.
#[derive(Clone, Debug)]
pub struct Folder {
    pictures: PathBuf,
    results: PathBuf,
    /// Whether prompts lie in the folder itself: those of one arm, as the official repository draws them.
    is_single: bool,
}

/// A folder that cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FolderError {
    /// A file cannot be read.
    #[error("cannot read '{path}': {cause}", path = path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        cause: io::Error,
    },
    /// A file cannot be written.
    #[error("cannot write '{path}': {cause}", path = path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system said.
        cause: io::Error,
    },
    /// A file that is not of the evaluation's format.
    #[error("'{path}' is damaged or of another version: {cause}; remove it to have it made again", path = path.display())]
    Json {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        cause: serde_json::Error,
    },
    /// Scores that cannot be.
    #[error("'{path}': {cause}", path = path.display())]
    Scores {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        cause: Box<ScoresError>,
    },
    /// Another evaluation is in the folder.
    #[error("'{path}' holds another evaluation: {cause}; choose another folder", path = path.display())]
    Plan {
        /// The folder.
        path: PathBuf,
        /// How they differ.
        cause: Box<PlanError>,
    },
    /// A plan that nothing here has written.
    #[error("'{path}' cannot be used: {cause}", path = path.display())]
    PlanFile {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        cause: Box<PlanError>,
    },
    /// Pictures in a folder that is named as versions up to 0.1.0 named it.
    #[error(
        "'{path}' seems to hold the pictures of '{prompt}', named by an earlier version: rename it to '{name}', or choose another folder",
        path = path.display()
    )]
    FormerName {
        /// The folder.
        path: PathBuf,
        /// The prompt, shortened.
        prompt: String,
        /// The name that it must have.
        name: String,
    },
    /// There are no pictures.
    #[error(
        "'{path}' holds no pictures of an evaluation: expected ARM/PROMPT/SEED.png, or PROMPT/SEED.png of one method alone",
        path = path.display()
    )]
    NoPictures {
        /// The folder.
        path: PathBuf,
    },
}

impl Folder {
    const PLAN: &str = "evaluation.json";
    const SCORES: &str = "scores";
    const REPORT: &str = "report";
    const COSTS: &str = "costs";

    /// A folder to draw into; it need not exist.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        let pictures: PathBuf = path.into();
        Self { results: pictures.clone(), pictures, is_single: false }
    }

    /// A folder of pictures, ours or anyone's, with the plan that says or shows what is in it.
    ///
    /// Without `evaluation.json` names of folders are arms and prompts, names of files are seeds, and what the prompts ask for is read from
    /// them where they are of the benchmark's templates.
    ///
    /// # Errors
    ///
    /// When it cannot be read or holds no pictures.
    pub fn open(path: impl Into<PathBuf>) -> Result<(Self, Plan), FolderError> {
        let mut folder = Self::new(path);
        if let Some(plan) = folder.plan()? {
            return Ok((folder, plan));
        }
        let found = Found::search(&folder.pictures, &[Self::SCORES, Self::REPORT, Self::COSTS])?;
        folder.is_single = found.is_single;
        Ok((folder, found.plan))
    }

    /// The same pictures, with scores and reports in another place.
    #[must_use]
    pub fn with_results_in(self, path: impl Into<PathBuf>) -> Self {
        Self { results: path.into(), ..self }
    }

    /// Where the files of a report go.
    pub fn report(&self) -> PathBuf {
        self.results.join(Self::REPORT)
    }

    /// Where scores and reports are.
    pub fn results(&self) -> &Path {
        &self.results
    }

    /// Where the pictures are.
    pub fn pictures(&self) -> &Path {
        &self.pictures
    }

    /// The plan of what has been drawn here so far.
    ///
    /// # Errors
    ///
    /// When it is there and cannot be read, or an earlier version named one of its folders by another hash.
    pub fn plan(&self) -> Result<Option<Plan>, FolderError> {
        let plan: Option<Plan> = read_json(&self.pictures.join(Self::PLAN))?;
        if let Some(plan) = &plan {
            let foreign =
                |cause| FolderError::PlanFile { path: self.pictures.join(Self::PLAN), cause: Box::new(cause) };
            plan.check().map_err(foreign)?;
            self.refuse_former_names(plan)?;
        }
        Ok(plan)
    }

    /// Pictures under a name that is not looked for must not be drawn anew, nor count as missing.
    fn refuse_former_names(&self, plan: &Plan) -> Result<(), FolderError> {
        let hashed: Vec<_> = plan.prompts.iter().filter(|prompt| folder_name(&prompt.text) != prompt.text).collect();
        if hashed.is_empty() {
            return Ok(());
        }
        for arm in plan.arms.iter().map(|arm| self.pictures.join(&arm.name)).filter(|arm| arm.is_dir()) {
            for folder in subfolders(&arm)? {
                if let Some(prompt) = hashed.iter().find(|prompt| is_former_name(&folder, &prompt.text)) {
                    let (path, name) = (arm.join(folder), folder_name(&prompt.text));
                    return Err(FolderError::FormerName { path, prompt: prompt.shortened(), name });
                }
            }
        }
        Ok(())
    }

    /// Writes down what will be drawn here, besides what has been drawn.
    ///
    /// # Errors
    ///
    /// When something else has been drawn under the same names, or the folder cannot be written.
    pub fn begin(&self, plan: &Plan) -> Result<(), FolderError> {
        plan.check().map_err(|cause| FolderError::Plan { path: self.pictures.clone(), cause: Box::new(cause) })?;
        let known = self.plan()?;
        let all = match &known {
            None => plan.clone(),
            Some(known) => known
                .united(plan)
                .map_err(|cause| FolderError::Plan { path: self.pictures.clone(), cause: Box::new(cause) })?,
        };
        if known.as_ref() == Some(&all) {
            return Ok(());
        }
        write_json(&self.pictures.join(Self::PLAN), &all)
    }

    /// The place of a picture.
    pub fn picture(&self, arm: &str, prompt: &str, seed: u64) -> PathBuf {
        self.prompt(arm, prompt).join(format!("{seed}.png"))
    }

    fn prompt(&self, arm: &str, prompt: &str) -> PathBuf {
        let arm = if self.is_single { self.pictures.clone() } else { self.pictures.join(arm) };
        arm.join(folder_name(prompt))
    }

    /// The seeds of a prompt that an arm has not drawn. What a killed run has left there is removed.
    ///
    /// # Errors
    ///
    /// When the folder cannot be read.
    pub fn missing(&self, arm: &str, prompt: &str, seeds: &[u64]) -> Result<Vec<u64>, FolderError> {
        let folder = self.prompt(arm, prompt);
        remove_unfinished(&folder).map_err(|cause| FolderError::Read { path: folder, cause })?;
        Ok(seeds.iter().copied().filter(|seed| !self.picture(arm, prompt, *seed).exists()).collect())
    }

    /// Writes the file of a picture.
    ///
    /// # Errors
    ///
    /// What the system says.
    pub fn write_picture(&self, arm: &str, prompt: &str, seed: u64, png: &[u8]) -> Result<(), FolderError> {
        let path = self.picture(arm, prompt, seed);
        write_file(&path, |file| file.write_all(png)).map_err(|cause| FolderError::Write { path, cause })
    }

    fn costs_path(&self, arm: &str, prompt: &str) -> PathBuf {
        self.pictures.join(Self::COSTS).join(arm).join(folder_name(prompt))
    }

    /// Writes down what a picture cost.
    ///
    /// # Errors
    ///
    /// What the system says.
    pub fn write_cost(&self, arm: &str, prompt: &str, seed: u64, cost: &PictureCost) -> Result<(), FolderError> {
        write_json(&self.costs_path(arm, prompt).join(format!("{seed}.json")), cost)
    }

    /// What the pictures of a plan cost, arm by arm; those whose cost nobody wrote down are left out.
    ///
    /// # Errors
    ///
    /// When a cost is there and cannot be read.
    pub fn costs(&self, plan: &Plan) -> Result<Vec<ArmCosts>, FolderError> {
        let of_arm = |arm: &crate::Arm| {
            let folders = plan.prompts.iter().map(|prompt| self.costs_path(&arm.name, &prompt.text));
            let files =
                folders.flat_map(|folder| plan.seeds.iter().map(move |seed| folder.join(format!("{seed}.json"))));
            let pictures = files.filter_map(|file| read_json(&file).transpose()).collect::<Result<_, _>>()?;
            Ok(ArmCosts { arm: arm.name.clone(), pictures })
        };
        plan.arms.iter().map(of_arm).collect()
    }

    fn scores_path(&self, scorer: &str, arm: &str) -> PathBuf {
        self.results.join(Self::SCORES).join(scorer).join(format!("{arm}.json"))
    }

    /// Removes what a killed scoring has left beside the scores.
    ///
    /// # Errors
    ///
    /// When the folder cannot be read.
    pub(crate) fn remove_unfinished_scores(&self, scorer: &str) -> Result<(), FolderError> {
        let path = self.results.join(Self::SCORES).join(scorer);
        remove_unfinished(&path).map_err(|cause| FolderError::Read { path, cause })
    }

    /// The scores that a scorer has given an arm so far.
    ///
    /// # Errors
    ///
    /// When they are there and cannot be read.
    pub fn scores(&self, scorer: &str, arm: &str) -> Result<Option<Scores>, FolderError> {
        let path = self.scores_path(scorer, arm);
        let scores: Option<Scores> = read_json(&path)?;
        if let Some(scores) = &scores {
            scores.check().map_err(|cause| FolderError::Scores { path, cause: Box::new(cause) })?;
        }
        Ok(scores)
    }

    /// Writes the scores of an arm.
    ///
    /// # Errors
    ///
    /// What the system says.
    pub fn write_scores(&self, arm: &str, scores: &Scores) -> Result<(), FolderError> {
        let path = self.scores_path(&scores.scorer.name, arm);
        scores.check().map_err(|cause| FolderError::Scores { path: path.clone(), cause: Box::new(cause) })?;
        write_json(&path, scores)
    }

    /// Names of the scorers that have scored anything here.
    ///
    /// # Errors
    ///
    /// When the folder cannot be read.
    pub fn scorers(&self) -> Result<Vec<String>, FolderError> {
        let path = self.results.join(Self::SCORES);
        if path.exists() { subfolders(&path) } else { Ok(Vec::new()) }
    }
}

/// The bytes of a file, if it is there.
pub(crate) fn read(path: &Path) -> Result<Option<Vec<u8>>, FolderError> {
    /// Bytes of a picture, a plan or scores, far above what is written here.
    const LARGEST: u64 = 1 << 30;
    match read_file(path, LARGEST) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(cause) => Err(FolderError::Read { path: path.to_owned(), cause }),
    }
}

fn read_json<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, FolderError> {
    let value = read(path)?.map(|bytes| serde_json::from_slice(&bytes)).transpose();
    value.map_err(|cause| FolderError::Json { path: path.to_owned(), cause })
}

fn write_json(path: &Path, value: &impl serde::Serialize) -> Result<(), FolderError> {
    let write = |file: &mut fs::File| {
        let mut writer = io::BufWriter::new(file);
        serde_json::to_writer_pretty(&mut writer, value)?;
        writer.write_all(b"\n")?;
        writer.flush()
    };
    write_file(path, write).map_err(|cause| FolderError::Write { path: path.to_owned(), cause })
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use std::collections::BTreeMap;

    use super::*;
    use crate::{Arm, Prompt};

    #[test]
    fn names_of_a_plan_lead_nowhere_else() {
        let outside = tempfile::tempdir().unwrap();
        let absolute = outside.path().join("arm").to_str().unwrap().to_owned();
        for name in [absolute.as_str(), "../arm", "..", ".", "", "a/b", "a\\b", "C:x", "a\0b", "a\nb"] {
            let place = tempfile::tempdir().unwrap();
            let arm = Arm { name: name.to_owned(), settings: Value::Null };
            let plan = Plan {
                model: "m".to_owned(),
                arms: vec![arm],
                prompts: vec![Prompt::new("a cat", "s")],
                seeds: vec![0],
                files: BTreeMap::new(),
            };
            write_json(&place.path().join(Folder::PLAN), &plan).unwrap();
            let error = Folder::open(place.path()).unwrap_err().to_string();
            assert!(error.contains("evaluation.json' cannot be used: the name of an arm"), "{name:?}: {error}");
            assert!(!error.contains('\n') && !error.contains('\0'), "{error:?}");
            assert!(Folder::new(outside.path()).begin(&plan).is_err());
        }
        assert_eq!(fs::read_dir(outside.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_scorers_name_leads_nowhere_else() {
        let place = tempfile::tempdir().unwrap();
        let scorer = crate::Scorer { name: "../../x".to_owned(), about: String::new(), metrics: Vec::new() };
        let scores = Scores { scorer, pictures: Vec::new() };
        write_json(&place.path().join("scores/clip/plain.json"), &scores).unwrap();
        let folder = Folder::new(place.path());
        let error = folder.scores("clip", "plain").unwrap_err().to_string();
        assert!(error.contains("plain.json") && error.contains("the name of a scorer"), "{error}");
        assert!(folder.write_scores("plain", &scores).is_err() && !place.path().join("x").exists());
    }

    #[test]
    fn a_folder_named_by_an_earlier_version_is_refused_by_name() {
        let place = tempfile::tempdir().unwrap();
        let folder = Folder::new(place.path());
        let plan = Plan {
            model: "m".to_owned(),
            arms: vec![Arm { name: "guided".to_owned(), settings: Value::Null }],
            prompts: vec![Prompt::new("a cat", "s"), Prompt::new("a cat: hello", "s")],
            seeds: vec![0],
            files: BTreeMap::new(),
        };
        folder.begin(&plan).unwrap();
        let former = place.path().join("guided/a cat_ hello-d4b37d61");
        fs::create_dir_all(&former).unwrap();
        fs::create_dir_all(place.path().join("guided/a cat-23f5cc72")).unwrap();
        let refusals = [folder.begin(&plan).unwrap_err(), Folder::open(place.path()).unwrap_err()];
        for refusal in refusals.map(|error| error.to_string()) {
            assert!(refusal.contains(former.to_str().unwrap()), "{refusal}");
            assert!(refusal.ends_with("rename it to 'a cat_ hello-71dbaef365', or choose another folder"), "{refusal}");
        }
        fs::rename(&former, former.with_file_name("a cat_ hello-71dbaef365")).unwrap();
        fs::write(folder.picture("guided", "a cat: hello", 0), "").unwrap();
        let (folder, _) = Folder::open(place.path()).unwrap();
        assert_eq!(folder.missing("guided", "a cat: hello", &[0, 1]).unwrap(), [1]);
    }
}
