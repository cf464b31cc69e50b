use std::io::{self, Write};
use std::path::PathBuf;

use ae_eval::{Report, ReportPicture};
use attend_and_excite::evaluation::{pictures_beside, recorded_scores, way_between};
use attend_and_excite::read_image;
use image::RgbImage;

use super::opened;
use crate::args::EvalReportArgs;
use crate::error::CliError;
use crate::output::{encode_plain_png, print_path, write_whole};

/// Makes tables, charts and a page of the scores of a folder.
pub(super) fn report(args: &EvalReportArgs) -> Result<(), CliError> {
    let (folder, plan) = opened(&args.folder, args.results.as_deref())?;
    let scores = recorded_scores(&folder, &plan)?;
    if scores.iter().all(|arm| arm.scores.is_empty()) {
        return Err(CliError::NoScores { path: folder.results().to_owned() });
    }
    let report = Report::new(&plan, &scores)?.with_costs(&folder.costs(&plan)?);
    let files = Files { folder: folder.report() };
    files.text("report.md", &report.markdown())?;
    files.text("results.csv", &report.csv())?;
    files.text("results.json", &report.json())?;
    for chart in report.charts() {
        files.text(&format!("{}.svg", chart.key), &chart.chart.svg())?;
        files.picture(&format!("{}.png", chart.key), &chart.chart.png())?;
    }
    if let Some(pictures) = pictures_beside(&folder, &plan, args.rows) {
        files.picture("pictures.png", &pictures)?;
    }
    let examples = report.examples(args.by.as_deref(), args.examples)?;
    let page = report.html(&examples, |arm, prompt, seed| {
        let file = folder.picture(arm, &prompt.text, seed);
        Some(ReportPicture { picture: read_image(&file).ok()?, path: way_between(&files.folder, &file) })
    });
    files.text("index.html", &page)
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
