use image::RgbImage;

use crate::layers::shown_steps;
use crate::sheet::{Cell, Sheet, blank, scaled, tile_size};
use crate::{Explanation, FigureError, MapChoice};

/// Longest side of the pictures.
const TILE: u32 = 128;
/// Time of a frame and of the last one, in milliseconds.
const FRAME: u16 = 120;
const LAST_FRAME: u16 = 2500;

impl Explanation {
    /// The steps in time, as an animated PNG: the decoded latents beside the attention, on one scale. Where latents were decoded at
    /// some steps only, these are shown. It begins again after the last step has stood for a while.
    ///
    /// # Errors
    ///
    /// When there is no subject or token to show, or no attention was kept.
    pub fn animation(&self, choice: MapChoice) -> Result<Vec<u8>, FigureError> {
        let frames = self.frames(choice)?;
        encode(&frames).map_err(|error| FigureError::Encoding(error.to_string()))
    }

    fn frames(&self, choice: MapChoice) -> Result<Vec<RgbImage>, FigureError> {
        let layers = self.layers(choice)?;
        let (runs, scale) = self.shown(&layers, shown_steps)?;
        let tile = tile_size(self.size(), TILE);
        let count = runs.iter().map(|(_, steps)| steps.len()).max().unwrap_or(0);
        let frames = (0..count).map(|index| {
            let mut sheet = Sheet::new(tile, scale);
            for (run, steps) in &runs {
                // A run of fewer steps stands still.
                let step = steps[index.min(steps.len() - 1)];
                let preview = step.preview.as_ref().map_or_else(|| blank(tile), |decoded| scaled(decoded, tile));
                sheet.heading(format!("{}, step {} of {}", run.title(), step.step + 1, step.num_steps));
                let maps = layers.iter().map(|layer| Cell::new(layer.label, layer.alone(tile, step, scale)));
                sheet.wrapped(std::iter::once(Cell::new("picture", preview)).chain(maps));
            }
            sheet.draw()
        });
        Ok(frames.collect())
    }
}

fn encode(frames: &[RgbImage]) -> Result<Vec<u8>, png::EncodingError> {
    let (width, height) = frames.first().map_or((1, 1), RgbImage::dimensions);
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, width, height);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    // Early latents are noise, and large.
    encoder.set_compression(png::Compression::High);
    // Again and again.
    encoder.set_animated(u32::try_from(frames.len()).unwrap_or(u32::MAX), 0)?;
    encoder.set_frame_delay(FRAME, 1000)?;
    let mut writer = encoder.write_header()?;
    for (index, frame) in frames.iter().enumerate() {
        if index + 1 == frames.len() {
            writer.set_frame_delay(LAST_FRAME, 1000)?;
        }
        writer.write_image_data(frame)?;
    }
    writer.finish()?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::explanation;

    #[test]
    fn every_step_is_a_frame() {
        let bytes = explanation(1).animation(MapChoice::Subjects).unwrap();
        let mut reader = png::Decoder::new(std::io::Cursor::new(bytes)).read_info().unwrap();
        let control = reader.info().animation_control.unwrap();
        assert_eq!((control.num_frames, control.num_plays), (50, 0));
        let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
        let mut delays = Vec::new();
        while reader.next_frame(&mut pixels).is_ok() {
            delays.push(reader.info().frame_control.unwrap().delay_num);
        }
        assert_eq!((delays.len(), delays[0], delays[49]), (50, FRAME, LAST_FRAME));
    }

    #[test]
    fn many_tokens_take_several_lines() {
        let mut explanation = explanation(1);
        explanation.runs[0].steps.truncate(1);
        let (width, height) = explanation.frames(MapChoice::Subjects).unwrap()[0].dimensions();
        explanation.subjects = vec![explanation.subjects[0].clone(); 75];
        let (wide, high) = explanation.frames(MapChoice::Subjects).unwrap()[0].dimensions();
        assert!(wide < 3 * width && high > 10 * height, "{wide}x{high}");
    }

    #[test]
    fn only_decoded_steps_are_frames() {
        let mut explanation = explanation(1);
        for step in explanation.runs[0].steps.iter_mut().filter(|step| !step.step.is_multiple_of(10)) {
            step.preview = None;
        }
        assert_eq!(explanation.frames(MapChoice::Subjects).unwrap().len(), 5);
        explanation.runs[0].steps.iter_mut().for_each(|step| step.preview = None);
        assert_eq!(explanation.frames(MapChoice::Subjects).unwrap().len(), 50);
    }
}
