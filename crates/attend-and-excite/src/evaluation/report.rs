//! What a report shows of a folder.

use std::fs;
use std::path::Path;

use ae_eval::{Arm, ArmScores, Folder, Plan, Prompt};
use ae_figures::{PictureRow, picture_table};
use ae_settings::Method;
use image::RgbImage;

use super::evenly;
use crate::{Error, read_image};

/// Longer side of a picture beside others, in pixels.
const LONGEST: u32 = 160;

/// All scores that a folder has of every arm, which may be none.
///
/// # Errors
///
/// When a file of them cannot be read.
pub fn recorded_scores(folder: &Folder, plan: &Plan) -> Result<Vec<ArmScores>, Error> {
    let scorers = folder.scorers()?;
    let of_arm = |arm: &Arm| {
        let scores = scorers.iter().map(|scorer| folder.scores(scorer, &arm.name));
        let scores = scores.filter_map(Result::transpose).collect::<Result<Vec<_>, _>>()?;
        Ok(ArmScores { arm: arm.name.clone(), scores })
    };
    plan.arms.iter().map(of_arm).collect()
}

/// The first pictures of some prompts, every method beside the others; none where there is no picture.
pub fn pictures_beside(folder: &Folder, plan: &Plan, rows: usize) -> Option<RgbImage> {
    let seed = *plan.seeds.first()?;
    let row = |prompt: &Prompt| {
        // A report shows what is there and whole.
        let picture = |arm: &Arm| read_image(&folder.picture(&arm.name, &prompt.text, seed)).ok();
        let pictures = plan.arms.iter().map(picture).collect();
        PictureRow { label: format!("{}, seed {seed}", prompt.text), pictures }
    };
    let rows: Vec<_> = evenly(plan.prompts.len(), rows).map(|index| row(&plan.prompts[index])).collect();
    let columns: Vec<_> = plan.arms.iter().map(|arm| Method::title_of(&arm.name).to_owned()).collect();
    let has_any = rows.iter().any(|row| row.pictures.iter().any(Option::is_some));
    has_any.then(|| picture_table(&columns, &rows, LONGEST))
}

/// The way from a folder to a file, as a page in the folder links to it; none where one of them is not there.
pub fn way_between(folder: &Path, file: &Path) -> Option<String> {
    let (from, to) = (fs::canonicalize(folder).ok()?, fs::canonicalize(file).ok()?);
    let shared = from.components().zip(to.components()).take_while(|(one, other)| one == other).count();
    let up = from.components().skip(shared).map(|_| "..".to_owned());
    let down = to.components().skip(shared).map(|part| part.as_os_str().to_string_lossy().into_owned());
    Some(up.chain(down).collect::<Vec<_>>().join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_way_leads_up_and_down() {
        let place = tempfile::tempdir().unwrap();
        let (report, pictures) = (place.path().join("results/report"), place.path().join("pictures"));
        fs::create_dir_all(&report).unwrap();
        fs::create_dir_all(&pictures).unwrap();
        fs::write(pictures.join("0.png"), "").unwrap();
        assert_eq!(way_between(&report, &pictures.join("0.png")).as_deref(), Some("../../pictures/0.png"));
        assert_eq!(way_between(&report, &report).as_deref(), Some(""));
        assert_eq!(way_between(&report, &pictures.join("1.png")), None);
    }
}
