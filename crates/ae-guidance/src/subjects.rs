use std::ops::Range;
use std::sync::Arc;

use crate::GuidanceError;

/// The token positions of every subject, and the positions over which the softmax runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subjects {
    /// For every subject the positions of its tokens, with `<sot>` at position 0.
    positions: Vec<Vec<usize>>,
    /// The positions that take part in the softmax, ascending.
    windows: Vec<Range<usize>>,
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
        let window = 1..eot.unwrap_or(tokens.saturating_sub(1));
        Self::in_windows(positions, std::iter::once(window).collect())
    }

    /// Subjects of a prompt in which these positions take part in the softmax, in ascending order.
    ///
    /// A prompt that is encoded in chunks has a window for each: what [`new`](Self::new) leaves out of one is left out of every one, so
    /// that neither the start token of a later chunk nor what pads an earlier one takes the attention that the words share.
    ///
    /// # Errors
    ///
    /// When no subject is given, or a token lies outside the windows.
    pub fn in_windows(positions: Vec<Vec<usize>>, windows: Vec<Range<usize>>) -> Result<Self, GuidanceError> {
        if positions.is_empty() || positions.iter().any(Vec::is_empty) {
            return Err(GuidanceError::NoSubjects);
        }
        let is_outside = |position: &&usize| !windows.iter().any(|window| window.contains(*position));
        if let Some(&position) = positions.iter().flatten().find(is_outside) {
            let first = windows.first().map_or(0, |window| window.start);
            let last = windows.last().map_or(0, |window| window.end.saturating_sub(1));
            return Err(GuidanceError::Token { position, first, last });
        }
        let windows = windows.into_iter().filter(|window| !window.is_empty()).collect();
        let names = positions.iter().map(|positions| {
            let positions: Vec<_> = positions.iter().map(usize::to_string).collect();
            format!("token {}", positions.join("+"))
        });
        Ok(Self { names: names.collect(), positions, windows })
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
    pub(crate) fn windows(&self) -> &[Range<usize>] {
        &self.windows
    }

    /// The matrix `[positions in the windows, subjects]` that adds up the columns of each subject's tokens.
    pub(crate) fn selection(&self, windows: &[Range<usize>]) -> Vec<f32> {
        let is_of = |position: usize| move |positions: &Vec<usize>| f32::from(u8::from(positions.contains(&position)));
        windows.iter().cloned().flatten().flat_map(|position| self.positions.iter().map(is_of(position))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_window_leaves_out_what_the_references_leave_out() {
        assert_eq!(Subjects::new(vec![vec![2]], 77, None).unwrap().windows(), std::slice::from_ref(&(1..76)));
        assert_eq!(Subjects::new(vec![vec![2]], 77, Some(6)).unwrap().windows(), std::slice::from_ref(&(1..6)));
    }

    #[test]
    fn chunks_have_a_window_each() {
        let subjects = Subjects::in_windows(vec![vec![2], vec![5, 6]], vec![1..3, 5..5, 5..8]).unwrap();
        assert_eq!(subjects.windows(), [1..3, 5..8]);
        assert_eq!(subjects.selection(subjects.windows()), [0.0, 0.0, 1.0, 0.0, 0.0, 1.0, 0.0, 1.0, 0.0, 0.0]);
        let error = Subjects::in_windows(vec![vec![4]], vec![1..3, 5..8]).unwrap_err();
        assert_eq!(error, GuidanceError::Token { position: 4, first: 1, last: 7 });
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
