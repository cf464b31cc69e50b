use std::ops::Range;
use std::sync::Arc;

use crate::GuidanceError;

/// The token positions of every subject, and the positions over which the softmax runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subjects {
    /// For every subject the positions of its tokens, with `<sot>` at position 0.
    positions: Vec<Vec<usize>>,
    /// The positions that take part in the softmax.
    window: Range<usize>,
    names: Arc<[String]>,
}

impl Subjects {
    /// Subjects of a prompt of `tokens` positions (77 in CLIP).
    ///
    /// The softmax leaves out `<sot>` and the last position, as the references do. With EOT
    /// normalisation (the official repository's setting for Stable Diffusion 2), `eot` is the position
    /// of `<eot>`, and that and the padding behind it are left out too.
    ///
    /// # Errors
    ///
    /// When no subject is given, or a token lies outside those positions.
    pub fn new(positions: Vec<Vec<usize>>, tokens: usize, eot: Option<usize>) -> Result<Self, GuidanceError> {
        if positions.is_empty() || positions.iter().any(Vec::is_empty) {
            return Err(GuidanceError::NoSubjects);
        }
        let window = 1..eot.unwrap_or(tokens.saturating_sub(1));
        if let Some(&position) = positions.iter().flatten().find(|position| !window.contains(position)) {
            let (first, last) = (window.start, window.end.saturating_sub(1));
            return Err(GuidanceError::Token { position, first, last });
        }
        let names = positions.iter().map(|positions| {
            let positions: Vec<_> = positions.iter().map(usize::to_string).collect();
            format!("token {}", positions.join("+"))
        });
        Ok(Self { names: names.collect(), positions, window })
    }

    /// With these names in the record, one for each subject, instead of token positions.
    ///
    /// # Panics
    ///
    /// When there are more or fewer names than subjects.
    #[must_use]
    pub fn with_names(mut self, names: Vec<String>) -> Self {
        assert_eq!(names.len(), self.count(), "one name for each subject");
        self.names = names.into();
        self
    }

    /// The name of every subject.
    pub fn names(&self) -> Arc<[String]> {
        Arc::clone(&self.names)
    }

    /// Number of subjects.
    pub fn count(&self) -> usize {
        self.positions.len()
    }

    /// The token positions of every subject.
    pub fn positions(&self) -> &[Vec<usize>] {
        &self.positions
    }

    /// The positions over which the softmax runs.
    pub(crate) fn window(&self) -> Range<usize> {
        self.window.clone()
    }

    /// The matrix `[window, subjects]` that adds up the columns of each subject's tokens.
    pub(crate) fn selection(&self) -> Vec<f32> {
        let mut selection = vec![0.0; self.window.len() * self.count()];
        for (subject, positions) in self.positions.iter().enumerate() {
            for position in positions {
                selection[(position - self.window.start) * self.count() + subject] = 1.0;
            }
        }
        selection
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_window_leaves_out_what_the_references_leave_out() {
        assert_eq!(Subjects::new(vec![vec![2]], 77, None).unwrap().window(), 1..76);
        assert_eq!(Subjects::new(vec![vec![2]], 77, Some(6)).unwrap().window(), 1..6);
    }

    #[test]
    fn tokens_outside_the_window_are_refused() {
        for (position, eot) in [(0, None), (76, None), (6, Some(6)), (7, Some(6))] {
            let error = Subjects::new(vec![vec![2], vec![position]], 77, eot).unwrap_err();
            assert!(matches!(error, GuidanceError::Token { position: p, .. } if p == position), "{error}");
        }
        assert_eq!(Subjects::new(vec![], 77, None), Err(GuidanceError::NoSubjects));
        assert_eq!(Subjects::new(vec![vec![]], 77, None), Err(GuidanceError::NoSubjects));
    }
}
