use image::RgbImage;

use crate::heat_map::{alone, over};
use crate::layers::{Layer, shown_steps, steps_with_maps};
use crate::sheet::{Cell, Sheet, blank, scaled, tile_size};
use crate::{Explanation, FigureError, MapChoice, Run, Step};

/// Longest side of the pictures in the figure of maps, and in the strip.
const MAP_TILE: u32 = 224;
const STRIP_TILE: u32 = 112;

impl Explanation {
    /// The cross-attention of the last step as heat maps over the picture, on one scale; with two runs plain sampling stands
    /// above the guided one, as in the official repository's notebook `explain`.
    ///
    /// # Errors
    ///
    /// When there is no subject or token to show, or no attention was kept.
    pub fn maps(&self, choice: MapChoice) -> Result<RgbImage, FigureError> {
        Ok(self.maps_sheet(choice)?.draw())
    }

    /// As [`maps`](Self::maps), as an SVG document with real text, for papers.
    ///
    /// # Errors
    ///
    /// As [`maps`](Self::maps).
    pub fn maps_svg(&self, choice: MapChoice) -> Result<String, FigureError> {
        Ok(self.maps_sheet(choice)?.svg("Cross-attention at the last step", &self.about()))
    }

    /// The cross-attention over the steps (paper, Fig. 3): in columns some of the steps, the first and the last among them; in
    /// lines the decoded latents, where they were kept, and every subject. All maps have one scale.
    ///
    /// # Errors
    ///
    /// When there is no subject or token to show, or no attention was kept.
    pub fn strip(&self, choice: MapChoice, columns: usize) -> Result<RgbImage, FigureError> {
        Ok(self.strip_sheet(choice, columns)?.draw())
    }

    /// As [`strip`](Self::strip), as an SVG document with real text, for papers.
    ///
    /// # Errors
    ///
    /// As [`strip`](Self::strip).
    pub fn strip_svg(&self, choice: MapChoice, columns: usize) -> Result<String, FigureError> {
        Ok(self.strip_sheet(choice, columns)?.svg("Cross-attention over the steps", &self.about()))
    }

    fn maps_sheet(&self, choice: MapChoice) -> Result<Sheet, FigureError> {
        let layers = self.layers(choice)?;
        let (shown, scale) = self.shown(&layers, |run| Ok(evenly(&steps_with_maps(run)?, 1)))?;
        let tile = tile_size(self.size(), MAP_TILE);
        let mut sheet = Sheet::new(tile, scale);
        for (run, steps) in &shown {
            sheet.heading(format!("{}: “{}”, seed {}", run.title(), self.prompt, self.seed));
            let picture = scaled(&run.picture, tile);
            let mut cells = vec![Cell::new("picture", picture.clone())];
            for step in steps {
                cells.extend(layers.iter().map(|layer| Cell::new(layer.label, layer.over(&picture, step, scale))));
            }
            sheet.wrapped(cells);
        }
        self.layers_note().into_iter().for_each(|note| sheet.note(note));
        Ok(sheet)
    }

    fn strip_sheet(&self, choice: MapChoice, columns: usize) -> Result<Sheet, FigureError> {
        let layers = self.layers(choice)?;
        let (shown, scale) = self.shown(&layers, |run| Ok(evenly(&shown_steps(run)?, columns)))?;
        let tile = tile_size(self.size(), STRIP_TILE);
        let mut sheet = Sheet::new(tile, scale);
        for (run, steps) in &shown {
            let mut labels: Vec<_> = steps.iter().map(|step| format!("step {}", step.step)).collect();
            let mut label = |column: usize| std::mem::take(&mut labels[column]);
            sheet.heading(format!("{}: “{}”, seed {}", run.title(), self.prompt, self.seed));
            if steps.iter().any(|step| step.preview.is_some()) {
                let preview = |step: &Step| step.preview.as_ref().map_or_else(|| blank(tile), |one| scaled(one, tile));
                let cells = steps.iter().enumerate().map(|(column, step)| Cell::new(label(column), preview(step)));
                sheet.pictures(cells.collect::<Vec<_>>());
            }
            for layer in &layers {
                sheet.caption(layer.label);
                let cells = steps.iter().enumerate();
                let cells = cells.map(|(column, step)| Cell::new(label(column), layer.alone(tile, step, scale)));
                sheet.pictures(cells.collect::<Vec<_>>());
            }
        }
        self.layers_note().into_iter().for_each(|note| sheet.note(note));
        Ok(sheet)
    }

    /// What is shown, for those who do not see it.
    pub(crate) fn about(&self) -> String {
        let note = self.layers_note().map_or_else(String::new, |note| format!(" {note}."));
        format!("“{}”, seed {}.{note}", self.prompt, self.seed)
    }

    /// Which maps these are: their resolution, and the layers of which they are the mean; none where no attention was kept.
    pub(crate) fn layers_note(&self) -> Option<String> {
        let maps = self.runs.iter().flat_map(|run| &run.steps).find_map(|step| step.maps.as_ref())?;
        let mut blocks: Vec<(&str, usize)> = Vec::new();
        for layer in &self.layers {
            let block = layer.split_once(".attentions").map_or(layer.as_str(), |(block, _)| block);
            match blocks.iter_mut().find(|(known, _)| *known == block) {
                Some((_, count)) => *count += 1,
                None => blocks.push((block, 1)),
            }
        }
        let blocks = blocks.iter().map(|(block, count)| format!("{count} of {block}")).collect::<Vec<_>>().join(", ");
        let plural = if self.layers.len() == 1 { "" } else { "s" };
        let layers = match self.layers.len() {
            0 => String::new(),
            count => format!(", mean over all heads of {count} layer{plural}: {blocks}"),
        };
        Some(format!("Attention maps of {}x{} patches{layers}", maps.rows(), maps.cols()))
    }

    /// Width and height of the pictures.
    pub(crate) fn size(&self) -> (u32, u32) {
        self.runs.first().map_or((1, 1), |run: &Run| run.picture.dimensions())
    }
}

impl Layer<'_> {
    /// Its attention in a step over a picture.
    pub(crate) fn over(&self, picture: &RgbImage, step: &Step, scale: f32) -> RgbImage {
        match self.map(step) {
            Some(map) => over(picture, &map.values, map.resolution, scale),
            None => blank(picture.dimensions()),
        }
    }

    /// Its attention in a step without a picture.
    pub(crate) fn alone(&self, tile: (u32, u32), step: &Step, scale: f32) -> RgbImage {
        self.map(step).map_or_else(|| blank(tile), |map| alone(&map.values, map.resolution, tile, scale))
    }
}

/// Some of the steps at even distances, the first and the last among them; of one the last.
fn evenly<'a>(steps: &[&'a Step], most: usize) -> Vec<&'a Step> {
    let count = most.clamp(1, steps.len().max(1));
    if count == 1 || steps.len() == 1 {
        return steps.last().copied().into_iter().collect();
    }
    let last = steps.len() - 1;
    (0..count).map(|column| steps[(column * last + (count - 1) / 2) / (count - 1)]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::explanation;

    #[test]
    fn steps_are_chosen_evenly() {
        let explanation = explanation(1);
        let steps: Vec<_> = explanation.runs[0].steps.iter().collect();
        let indices = |most| evenly(&steps, most).iter().map(|step| step.step).collect::<Vec<_>>();
        assert_eq!(indices(5), [0, 12, 25, 37, 49]);
        assert_eq!((indices(1), indices(500).len()), (vec![49], 50));
        assert_eq!(evenly(&steps[..1], 10).len(), 1);
    }

    #[test]
    fn figures_have_a_tile_for_every_map() {
        let explanation = explanation(2);
        let maps = explanation.maps(MapChoice::Subjects).unwrap();
        // A picture and two subjects, in two lines with headings.
        assert!(maps.width() > 3 * MAP_TILE && maps.width() < 4 * MAP_TILE, "{}", maps.width());
        assert!(maps.height() > 2 * MAP_TILE && maps.height() < 3 * MAP_TILE, "{}", maps.height());
        // Six tokens and the picture take two lines per run.
        let all = explanation.maps(MapChoice::All).unwrap();
        assert!(all.height() > 4 * MAP_TILE && all.width() > 6 * MAP_TILE, "{:?}", all.dimensions());
        let strip = explanation.strip(MapChoice::Subjects, 5).unwrap();
        assert!(strip.width() > 5 * STRIP_TILE && strip.width() < 7 * STRIP_TILE, "{}", strip.width());
        assert!(strip.height() > 6 * STRIP_TILE, "{}", strip.height());
    }

    #[test]
    fn figures_say_which_maps_they_show() {
        let mut explanation = explanation(2);
        assert_eq!(explanation.layers_note().as_deref(), Some("Attention maps of 8x8 patches"));
        explanation.layers = ["down_blocks.2", "up_blocks.1", "up_blocks.1"]
            .map(|block| format!("{block}.attentions.0.transformer_blocks.0.attn2"))
            .to_vec();
        let note =
            "Attention maps of 8x8 patches, mean over all heads of 3 layers: 1 of down_blocks.2, 2 of up_blocks.1";
        assert_eq!(explanation.layers_note().as_deref(), Some(note));
        let svg = explanation.maps_svg(MapChoice::Subjects).unwrap();
        // Two pictures with two maps each, and the scale.
        assert_eq!(svg.matches("<image ").count(), 2 * 3 + 1);
        let (plain, guided) = (svg.find(">Stable Diffusion:"), svg.find(">Attend-and-Excite:"));
        assert!(plain.is_some() && plain < guided && svg.contains(">Attention maps of 8x8"), "{svg}");
        assert!(explanation.strip_svg(MapChoice::Subjects, 3).unwrap().contains(">step 25<"));
    }

    #[test]
    fn odd_runs_can_be_shown() {
        let mut explanation = explanation(1);
        let run = &mut explanation.runs[0];
        run.steps.truncate(1);
        run.steps[0].preview = None;
        run.picture = RgbImage::new(64, 8);
        explanation.maps(MapChoice::Subjects).unwrap();
        explanation.strip(MapChoice::All, 10).unwrap();
    }
}
