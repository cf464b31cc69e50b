/// Vectors of pictures or texts, one after another, as [`ClipModel`](crate::ClipModel) computes them: in single
/// precision.
#[derive(Clone, Debug, PartialEq)]
pub struct Features {
    width: usize,
    values: Vec<f32>,
}

impl Features {
    /// None yet.
    pub(crate) fn new(width: usize) -> Self {
        Self { width, values: Vec::new() }
    }

    /// Appends vectors.
    pub(crate) fn extend(&mut self, values: Vec<f32>) {
        self.values.extend(values);
    }

    /// The length of each vector, the model's `projection_dim`.
    pub fn width(&self) -> usize {
        self.width
    }

    /// How many vectors there are.
    pub fn len(&self) -> usize {
        self.values.len() / self.width
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// The vectors in their order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &[f32]> {
        self.values.chunks_exact(self.width)
    }

    /// The vectors with length 1.
    #[must_use]
    pub fn normalized(&self) -> Self {
        Self { width: self.width, values: self.iter().flat_map(normalized).collect() }
    }
}

/// A vector with length 1; zeros stay zeros.
pub(crate) fn normalized(vector: &[f32]) -> Vec<f32> {
    let norm = dot(vector, vector).sqrt();
    if norm == 0.0 {
        return vector.to_vec();
    }
    vector.iter().map(|&value| (f64::from(value) / norm) as f32).collect()
}

/// The scalar product, summed in double precision.
pub(crate) fn dot(a: &[f32], b: &[f32]) -> f64 {
    a.iter().zip(b).map(|(&a, &b)| f64::from(a) * f64::from(b)).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vectors_follow_one_another_and_are_normalised_each() {
        let mut features = Features::new(2);
        assert!(features.is_empty());
        features.extend(vec![3.0, 4.0, 0.0, 0.0]);
        features.extend(vec![-5.0, 0.0]);
        assert_eq!((features.len(), features.width()), (3, 2));
        let normalized = features.normalized();
        assert_eq!(normalized.iter().collect::<Vec<_>>(), [[0.6, 0.8], [0.0, 0.0], [-1.0, 0.0]]);
    }
}
