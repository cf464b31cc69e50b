//! Whose attention a figure shows, and on which scale.

use crate::{Explanation, FigureError, MapChoice, Run, Step};

/// A subject or a token, and the positions whose attention is summed.
pub(crate) struct Layer<'a> {
    pub(crate) label: &'a str,
    positions: Vec<usize>,
}

/// A map of one step, to be drawn.
pub(crate) struct Map {
    pub(crate) resolution: [usize; 2],
    pub(crate) values: Vec<f32>,
}

/// Runs with some of their steps.
pub(crate) type Shown<'a> = Vec<(&'a Run, Vec<&'a Step>)>;

impl Explanation {
    pub(crate) fn layers(&self, choice: MapChoice) -> Result<Vec<Layer<'_>>, FigureError> {
        if self.runs.is_empty() {
            return Err(FigureError::NoRun);
        }
        let layers: Vec<_> = match choice {
            MapChoice::Subjects => {
                let subjects = self.subjects.iter();
                subjects.map(|subject| Layer { label: &subject.text, positions: subject.positions.clone() }).collect()
            }
            MapChoice::All => {
                let text = self.tokens.iter().filter(|token| token.kind == "text");
                text.map(|token| Layer { label: &token.text, positions: vec![token.index] }).collect()
            }
        };
        match (layers.is_empty(), choice) {
            (false, _) => Ok(layers),
            (true, MapChoice::Subjects) => Err(FigureError::NoSubject),
            (true, MapChoice::All) => Err(FigureError::NoToken),
        }
    }

    /// The runs with the steps that are shown of each, and the scale that all maps of the figure share. Plain sampling comes
    /// first, as what guidance is compared with.
    pub(crate) fn shown<'a>(
        &'a self,
        layers: &[Layer<'_>],
        steps: impl Fn(&'a Run) -> Result<Vec<&'a Step>, FigureError>,
    ) -> Result<(Shown<'a>, f32), FigureError> {
        let shown = self.runs.iter().rev().map(|run| Ok((run, steps(run)?))).collect::<Result<Vec<_>, _>>()?;
        let scale = common_scale(layers, shown.iter().flat_map(|(_, steps)| steps.iter().copied()));
        Ok((shown, scale))
    }
}

impl Layer<'_> {
    /// Its attention in a step; none where it was not kept.
    pub(crate) fn map(&self, step: &Step) -> Option<Map> {
        let maps = step.maps.as_ref()?;
        Some(Map { resolution: [maps.rows(), maps.cols()], values: maps.sum(&self.positions)? })
    }
}

impl Map {
    fn peak(&self) -> f32 {
        self.values.iter().copied().fold(0.0, f32::max)
    }
}

/// The largest value of some maps.
fn common_scale<'a>(layers: &[Layer<'_>], steps: impl Iterator<Item = &'a Step>) -> f32 {
    let maps = steps.flat_map(|step| layers.iter().filter_map(|layer| layer.map(step)));
    maps.map(|map| map.peak()).fold(0.0, f32::max)
}

/// The steps of a run whose attention was kept.
pub(crate) fn steps_with_maps(run: &Run) -> Result<Vec<&Step>, FigureError> {
    let steps: Vec<_> = run.steps.iter().filter(|step| step.maps.is_some()).collect();
    if steps.is_empty() { Err(FigureError::NoMaps { method: run.method.clone() }) } else { Ok(steps) }
}

/// Those of them whose latents were decoded; all where none were.
pub(crate) fn shown_steps(run: &Run) -> Result<Vec<&Step>, FigureError> {
    let steps = steps_with_maps(run)?;
    let decoded: Vec<_> = steps.iter().copied().filter(|step| step.preview.is_some()).collect();
    Ok(if decoded.is_empty() { steps } else { decoded })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{self, explanation};

    #[test]
    fn the_scale_is_that_of_the_largest_map() {
        let explanation = explanation(2);
        let layers = explanation.layers(MapChoice::Subjects).unwrap();
        let all = common_scale(&layers, explanation.runs.iter().flat_map(|run| &run.steps));
        for run in &explanation.runs {
            for step in &run.steps {
                assert!(layers.iter().all(|layer| layer.map(step).unwrap().peak() <= all));
            }
        }
        assert!(all > common_scale(&layers, explanation.runs[1].steps[..1].iter()));
    }

    #[test]
    fn all_tokens_are_those_of_the_text() {
        let explanation = explanation(1);
        let labels: Vec<_> = explanation.layers(MapChoice::All).unwrap().iter().map(|layer| layer.label).collect();
        assert_eq!(labels, ["a", "lion", "and", "a", "red", "car"]);
    }

    #[test]
    fn what_is_missing_is_named() {
        let mut explanation = explanation(1);
        explanation.subjects.clear();
        assert_eq!(explanation.layers(MapChoice::Subjects).err(), Some(FigureError::NoSubject));
        explanation.tokens.clear();
        assert_eq!(explanation.layers(MapChoice::All).err(), Some(FigureError::NoToken));
        explanation.runs[0].steps.clear();
        let without_runs = Explanation { runs: Vec::new(), ..testing::explanation(1) };
        assert_eq!(without_runs.maps(MapChoice::Subjects), Err(FigureError::NoRun));
        assert_eq!(without_runs.strip(MapChoice::All, 3), Err(FigureError::NoRun));
        assert_eq!(without_runs.animation(MapChoice::All), Err(FigureError::NoRun));
        assert!(matches!(steps_with_maps(&explanation.runs[0]), Err(FigureError::NoMaps { .. })));
    }
}
