use ae_figures::{Explanation, MapChoice};
use image::RgbImage;

use super::{Files, print_path};
use crate::args::{GenerateArgs, Whose};
use crate::error::CliError;

/// Steps in the strip of maps, as many as fit on a page.
const COLUMNS: usize = 10;

/// Writes what the command line asks for of the steps of one seed, and names every file.
pub(crate) fn write_figures(args: &GenerateArgs, files: &Files, explanation: &Explanation) -> Result<(), CliError> {
    let seed = explanation.seed;
    let choice = match args.maps {
        Some(Whose::All) => MapChoice::All,
        _ => MapChoice::Subjects,
    };
    let picture = |name: &str, image: &RgbImage| {
        print_path(&files.write_plain_picture(&format!("{seed}-{name}"), image)?);
        Ok::<_, CliError>(())
    };
    if args.maps.is_some() {
        picture("maps", &explanation.maps(choice)?)?;
        picture("steps", &explanation.strip(choice, COLUMNS)?)?;
        picture("loss", &explanation.loss_png())?;
        let (maps, steps) = (explanation.maps_svg(choice)?, explanation.strip_svg(choice, COLUMNS)?);
        for (name, svg) in [("maps", maps), ("steps", steps), ("loss", explanation.loss_svg())] {
            print_path(&files.write(&format!("{seed}-{name}.svg"), svg.as_bytes())?);
        }
    }
    if args.animation {
        print_path(&files.write(&format!("{seed}-steps.apng"), &explanation.animation(choice)?)?);
    }
    if args.report {
        print_path(&files.write(&format!("{seed}.html"), ae_figures::report(explanation).as_bytes())?);
    }
    Ok(())
}
