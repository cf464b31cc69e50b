use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use ae_eval::{ArmScores, Folder, Plan, Prompt, Report, ReportPicture};
use ae_figures::{PictureRow, picture_table};
use image::RgbImage;

use super::opened;
use crate::args::EvalReportArgs;
use crate::error::CliError;
use crate::output::{encode_plain_png, print_path, write_whole};
use attend_and_excite::evaluation::evenly;

/// Longer side of a picture in `pictures.png`, in pixels.
const LONGEST: u32 = 160;

/// Makes tables, charts and a page of the scores of a folder.
pub(super) fn report(args: &EvalReportArgs) -> Result<(), CliError> {
    let (folder, plan) = opened(&args.folder, args.results.as_deref())?;
    let report = Report::new(&plan, &scores(&folder, &plan)?)?;
    let files = Files { folder: folder.report() };
    files.text("report.md", &report.markdown())?;
    files.text("results.csv", &report.csv())?;
    files.text("results.json", &report.json())?;
    for chart in report.charts() {
        files.text(&format!("{}.svg", chart.key), &chart.chart.svg())?;
        files.picture(&format!("{}.png", chart.key), &chart.chart.png())?;
    }
    if let Some(pictures) = side_by_side(&folder, &plan, args.rows) {
        files.picture("pictures.png", &pictures)?;
    }
    let examples = report.examples(args.by.as_deref(), args.examples)?;
    let page = report.html(&examples, |arm, prompt, seed| {
        let file = folder.picture(arm, &prompt.text, seed);
        Some(ReportPicture { picture: picture(&file)?, path: link(&files.folder, &file) })
    });
    files.text("index.html", &page)
}

/// All scores there are, which must be some.
fn scores(folder: &Folder, plan: &Plan) -> Result<Vec<ArmScores>, CliError> {
    let scorers = folder.scorers()?;
    let of_arm = |arm: &ae_eval::Arm| {
        let scores = scorers.iter().map(|scorer| folder.scores(scorer, &arm.name));
        let scores = scores.filter_map(Result::transpose).collect::<Result<Vec<_>, _>>()?;
        Ok(ArmScores { arm: arm.name.clone(), scores })
    };
    let all = plan.arms.iter().map(of_arm).collect::<Result<Vec<_>, CliError>>()?;
    if all.iter().all(|arm| arm.scores.is_empty()) {
        return Err(CliError::NoScores { path: folder.results().to_owned() });
    }
    Ok(all)
}

/// The first pictures of some prompts, every method beside the others; none where there is no picture.
fn side_by_side(folder: &Folder, plan: &Plan, rows: usize) -> Option<RgbImage> {
    let seed = *plan.seeds.first()?;
    let row = |prompt: &Prompt| {
        let file = |arm: &ae_eval::Arm| folder.picture(&arm.name, &prompt.text, seed);
        PictureRow {
            label: format!("{}, seed {seed}", prompt.text),
            pictures: plan.arms.iter().map(|arm| picture(&file(arm))).collect(),
        }
    };
    let rows: Vec<_> = evenly(plan.prompts.len(), rows).map(|index| row(&plan.prompts[index])).collect();
    let columns: Vec<_> = plan.arms.iter().map(|arm| arm.name.clone()).collect();
    let has_any = rows.iter().any(|row| row.pictures.iter().any(Option::is_some));
    has_any.then(|| picture_table(&columns, &rows, LONGEST))
}

/// A picture, if it is there and whole: a report shows what it can.
fn picture(file: &Path) -> Option<RgbImage> {
    attend_and_excite::read_image(file).ok()
}

/// The way from a folder to a file, if both are below one that has a name.
fn link(from: &Path, to: &Path) -> Option<String> {
    let (from, to) = (fs::canonicalize(from).ok()?, fs::canonicalize(to).ok()?);
    let shared = from.components().zip(to.components()).take_while(|(one, other)| one == other).count();
    let up = from.components().skip(shared).map(|_| "..".to_owned());
    let down = to.components().skip(shared).map(|part| part.as_os_str().to_string_lossy().into_owned());
    Some(up.chain(down).collect::<Vec<_>>().join("/"))
}

/// The files of a report.
struct Files {
    folder: PathBuf,
}

impl Files {
    fn text(&self, name: &str, text: &str) -> Result<(), CliError> {
        self.write(name, |file| file.write_all(text.as_bytes()))
    }

    fn picture(&self, name: &str, picture: &RgbImage) -> Result<(), CliError> {
        self.write(name, |file| encode_plain_png(file, picture))
    }

    fn write(&self, name: &str, write: impl FnOnce(&mut std::fs::File) -> io::Result<()>) -> Result<(), CliError> {
        print_path(&write_whole(self.folder.join(name), write)?);
        Ok(())
    }
}
